"""The catalogue keeps its own rules: names, owners, partitions, policies."""

import re
from importlib.metadata import entry_points

import pytest

from infra.topology import load_roles, writers
from schemas.role import ENTRY_POINTS
from schemas.topics import BY_NAME, CATALOGUE, SYMBOL_PARTITIONS, Topic, state_topic

ROOMS = {"producers", "streams", "consumers", "scheduler"}
OTHERS = {"everybody", "operators"}
NAME = re.compile(r"[a-z]+(\.[a-z0-9]+(-[a-z0-9]+)*)?|[a-z]+(-[a-z]+)*")
TOPICS = [pytest.param(topic, id=topic.name) for topic in CATALOGUE]
KAFKA_NAME_MAX = 249


@pytest.mark.parametrize("topic", TOPICS)
def test_name_is_lower_case_with_dots_and_hyphens(topic: Topic) -> None:
    assert NAME.fullmatch(topic.name)
    assert len(f"demo.20260210.999.{topic.name}") <= KAFKA_NAME_MAX


@pytest.mark.parametrize("topic", TOPICS)
def test_key_is_said_and_a_symbol_topic_is_keyed_by_symbol(topic: Topic) -> None:
    assert topic.key.strip()
    assert (topic.spread == "symbol") == topic.key.startswith("symbol")


@pytest.mark.parametrize("topic", TOPICS)
def test_owner_is_a_room_or_everybody(topic: Topic) -> None:
    assert topic.owner in ROOMS | OTHERS


@pytest.mark.parametrize("topic", TOPICS)
def test_only_the_owners_room_has_roles_that_write_it(topic: Topic) -> None:
    if topic.owner in OTHERS:
        return
    rooms = {each.name: each.module.split(".")[0] for each in entry_points(group=ENTRY_POINTS)}
    wrote = {rooms[name] for name in writers(load_roles(), topic)}

    assert wrote <= {topic.owner}


@pytest.mark.parametrize("topic", TOPICS)
def test_a_compacted_topic_carries_no_time(topic: Topic) -> None:
    assert not (topic.paced and topic.policy == "compact"), "watermarks have one key"


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_that_carries_its_own_time_is_paced(topic: Topic) -> None:
    assert topic.paced or not topic.self_timed


def test_names_and_records_are_said_once() -> None:
    assert len(BY_NAME) == len(CATALOGUE)
    assert len({topic.record for topic in CATALOGUE}) == len(CATALOGUE)


def test_saved_states_share_one_schema_and_are_compacted() -> None:
    topic = state_topic("market.decode")

    assert (topic.name, topic.schema_name) == ("state.market.decode", "state")
    assert topic.policy == "compact"


def test_symbol_topics_have_more_than_one_partition() -> None:
    assert SYMBOL_PARTITIONS > 1
