"""Where a peer believes the swarm to be, whatever strangers announce."""

from trainer.protocol import EXPIRATION_SECONDS, RoundAndStage
from trainer.swarm.guide import KNOWN_SECONDS, RESTART_SECONDS, Guide, LeadersWord, read_announcement
from trainer.swarm.succession import STARTING_SECONDS

OWN = "own"
NOW = 1_700_000_000.0
HERE = RoundAndStage(3, 1)
FAR = RoundAndStage(1003, 0)


class Swarm:
    """What can be read of a swarm: peers write the stage that they are in at each poll."""

    def __init__(self) -> None:
        self.now = 0.0
        self.announced: RoundAndStage | None = None
        self.rewards: dict[RoundAndStage, dict[str, float]] = {}
        self.guide = Guide(OWN)

    def write(self, place: RoundAndStage, *peers: str) -> None:
        for peer in peers:
            self.rewards.setdefault(place, {})[peer] = NOW + self.now + EXPIRATION_SECONDS

    def poll(self, times: int = 1, *, writers: tuple[str, ...] = ("a", "b"), at: RoundAndStage = HERE) -> object:
        for _ in range(times):
            self.now += 30.0
            self.write(at, *writers)
            places = self.guide.places(self.announced, self.now)
            found = {place: self.rewards[place] for place in places if place in self.rewards}
            self.guide.judge(self.announced, found, self.now)
        return self.guide.believed


def settled() -> Swarm:
    """A swarm whose peers a and b are known for long."""
    swarm = Swarm()
    swarm.announced = HERE
    assert swarm.poll(int(KNOWN_SECONDS / 30) + 2) == HERE
    return swarm


def test_an_announcement_that_lives_too_long_does_not_count() -> None:
    lives = NOW + EXPIRATION_SECONDS
    assert read_announcement((3, 1), lives, NOW) == HERE
    assert read_announcement((3, 1), lives + 300.0, NOW) == HERE
    assert read_announcement((1003, 0), lives + 3600.0, NOW) is None
    assert read_announcement(("x",), lives, NOW) is None


def test_a_strangers_far_announcement_leads_nobody() -> None:
    swarm = settled()
    swarm.announced = FAR
    swarm.write(FAR, "stranger", "another", "third")
    assert swarm.poll(200) == HERE


def test_without_a_believable_announcement_known_peers_lead_on() -> None:
    swarm = settled()
    swarm.announced = FAR
    for place in (RoundAndStage(3, 2), RoundAndStage(4, 0), RoundAndStage(4, 1)):
        swarm.write(RoundAndStage(place.round + 1, 0), "stranger")
        assert swarm.poll(at=place) == place
    swarm.announced = None
    assert swarm.poll(at=RoundAndStage(5, 0)) == RoundAndStage(5, 0)


def test_a_swarm_that_really_is_far_ahead_is_joined() -> None:
    swarm = settled()
    ahead = RoundAndStage(9, 1)
    swarm.announced = ahead
    assert swarm.poll(writers=("stranger",), at=ahead) == HERE
    assert swarm.poll(writers=("a",), at=ahead) == ahead


def test_a_restarted_swarm_is_joined_where_known_peers_write() -> None:
    swarm = settled()
    swarm.announced = RoundAndStage(0, 0)
    assert swarm.poll(3) == HERE
    assert swarm.poll(2, writers=("a", "b"), at=RoundAndStage(0, 0)) == RoundAndStage(0, 0)


def test_a_restarted_swarm_of_new_peers_is_joined_once_nobody_goes_on_here() -> None:
    swarm = settled()
    swarm.announced = RoundAndStage(0, 0)
    polls = int(RESTART_SECONDS / 30)
    assert swarm.poll(polls - 1, writers=(), at=HERE) == HERE
    assert swarm.poll(2, writers=(), at=HERE) == RoundAndStage(0, 0)


def test_a_peer_that_was_led_astray_at_its_start_comes_back() -> None:
    swarm = Swarm()
    swarm.announced = FAR
    assert swarm.poll() == FAR
    swarm.announced = HERE
    assert swarm.poll(2) == HERE


def test_a_restarted_peer_does_not_jump_from_its_saved_place_without_rewards() -> None:
    swarm = Swarm()
    swarm.guide = Guide(OWN, HERE)
    swarm.announced = FAR
    assert swarm.poll(100) == HERE


def test_a_leaders_word_leads_at_once_but_not_back() -> None:
    word = LeadersWord(RoundAndStage(3, 2))
    assert word.judge(FAR, 0.0) == FAR
    assert word.judge(HERE, 1.0) == FAR
    assert word.judge(None, 2.0) is None
    assert word.judge(RoundAndStage(1003, 1), 3.0) == (1003, 1)


def test_leaders_that_stay_behind_began_again() -> None:
    word = LeadersWord(FAR)
    assert word.judge(HERE, 0.0) == FAR
    assert word.judge(HERE, STARTING_SECONDS - 1) == FAR
    assert word.judge(HERE, STARTING_SECONDS) == HERE
    assert word.judge(RoundAndStage(2, 0), STARTING_SECONDS + 1) == HERE
