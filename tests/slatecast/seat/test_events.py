from typing import get_args

from slatecast.seat import events
from slatecast.seat.events import Action, Event, Stumbled


def test_every_event_and_action_is_hashable_and_frozen() -> None:
    for kind in (*get_args(Event), *get_args(Action)):
        assert kind.__dataclass_params__.frozen, kind


def test_every_class_is_one_or_the_other() -> None:
    described = {each for each in vars(events).values() if getattr(each, "__module__", "") == events.__name__}
    classes = {each for each in described if isinstance(each, type)}
    assert classes - set(get_args(Event)) - set(get_args(Action)) == {events.SessionView, events.Afterwards}
    assert Stumbled in classes
