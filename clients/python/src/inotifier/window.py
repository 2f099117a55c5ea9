"""The events of a consumer from their arrival until they are acked.

What is in hand, what was given out, what of it is done; all by positions, which are text and
compare as such. Pure; one thread.

A fetch returns what was not acked, so while an event is unfinished the next reply begins with it.
What was given out before is recognised by its position and passed over. `seen` is the end of what
this consumer has been given; `prefix` the end of the unbroken part of it that is done, which is
what may be acked.
"""

import collections
from typing import Deque, Dict, List, Optional, Sequence

from .event import Event

OUT, AGAIN, DONE = range(3)  # AGAIN: given back unfinished, to be given out once more


class Window:
    def __init__(self) -> None:
        self.seen = ""
        self.cursor = ""  # end of what is in hand; becomes `seen` when that is used up
        self._prefix = ""
        self._hand: Deque[Event] = collections.deque()
        self._given: Dict[str, int] = {}  # by position, rising

    def take_fetched(self, events: Sequence[Event], cursor: str) -> None:
        """The events of a reply, when nothing is in hand."""
        self.cursor = max(self.cursor, cursor)
        told = {event.position for event in events}
        # The daemon has what was given back no longer, or passes over it.
        gone = [p for p, state in self._given.items() if state == AGAIN and p not in told]
        for position in gone:
            if position <= cursor:
                del self._given[position]
        self._hand = collections.deque(
            event
            for event in events
            # Before the prefix: a power cut made the daemon forget an ack.
            if event.position > self._prefix and self._given.get(event.position, AGAIN) == AGAIN
        )
        self._used_up()

    def _used_up(self) -> None:
        if not self._hand:
            self.seen = max(self.seen, self.cursor)

    def take(self) -> Optional[Event]:
        """The next event that was not given out before."""
        if not self._hand:
            return None
        event = self._hand.popleft()
        late = event.position < self.seen and event.position not in self._given
        self._given[event.position] = OUT
        if late:  # the consumer wants other types now, also of what was not acked
            self._given = dict(sorted(self._given.items()))
        self.seen = max(self.seen, event.position)
        self._used_up()
        return event

    def take_all(self) -> List[Event]:
        events: List[Event] = []
        while self._hand:
            event = self.take()
            assert event is not None
            events.append(event)
        return events

    def put_back(self) -> None:
        """What is in hand and was not given out is fetched again."""
        self._hand.clear()
        self.cursor = self.seen

    @property
    def in_hand(self) -> int:
        return len(self._hand)

    @property
    def undone(self) -> int:
        """Given out, and neither done nor acked."""
        return sum(state != DONE for state in self._given.values())

    def is_open(self, position: str) -> bool:
        return self._given.get(position, DONE) != DONE

    def finish(self, position: str) -> None:
        if position in self._given:
            self._given[position] = DONE

    def finish_up_to(self, position: str) -> None:
        for each in self._given:
            if each <= position:
                self._given[each] = DONE

    def give_back(self) -> None:
        """What is out and not done will be given out once more."""
        for position, state in self._given.items():
            if state == OUT:
                self._given[position] = AGAIN

    def ackable(self) -> str:
        """The end of the unbroken prefix of what is done; "" if there is none."""
        while self._given:
            first = next(iter(self._given))
            if self._given[first] != DONE:
                return self._prefix
            del self._given[first]
            self._prefix = max(self._prefix, first)
        self._prefix = max(self._prefix, self.seen)
        return self._prefix
