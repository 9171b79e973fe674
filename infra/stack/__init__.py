"""The local stack: Kafka, a schema registry, PostgreSQL and Redis as real processes.

Everything comes from Python packages and from artifacts named in ``artifacts.lock``; nothing
listens beyond 127.0.0.1.  ``stack.up`` starts it or joins the one that runs; a keeper process
owns the services, so that they die with it.
"""
