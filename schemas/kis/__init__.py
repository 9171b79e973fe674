"""The words of Korea Investment & Securities (KIS) as they travel on its wire: pure, no IO."""
