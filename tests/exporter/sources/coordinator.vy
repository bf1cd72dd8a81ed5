# pragma version ~=0.4.0
# The functions of the swarm's contract that are read, over state that a test sets.

MAX_ITEMS: constant(uint256) = 128
MAX_OWNED: constant(uint256) = 8

round: uint256
stage: uint256
account_of: HashMap[String[64], address]
peers_of: HashMap[address, DynArray[String[64], MAX_OWNED]]
rewards: HashMap[String[64], int256]
wins: HashMap[String[64], uint256]
votes: HashMap[String[64], uint256]
bootnodes: DynArray[String[128], MAX_OWNED]


@external
def registerPeer(peer: String[64]):
    assert self.account_of[peer] == empty(address)
    self.account_of[peer] = msg.sender
    self.peers_of[msg.sender].append(peer)


@external
def submitReward(peer: String[64], reward: int256):
    assert self.account_of[peer] == msg.sender
    self.rewards[peer] += reward


@external
def submitWinner(winner: String[64], voter: String[64]):
    self.wins[winner] += 1
    self.votes[voter] += 1


@external
def advance(round: uint256, stage: uint256):
    self.round = round
    self.stage = stage


@external
def addBootnode(address_: String[128]):
    self.bootnodes.append(address_)


@external
@view
def getBootnodes() -> DynArray[String[128], MAX_OWNED]:
    return self.bootnodes


@external
@view
def currentRound() -> uint256:
    return self.round


@external
@view
def currentStage() -> uint256:
    return self.stage


@external
@view
def getEoa(peers: DynArray[String[64], MAX_ITEMS]) -> DynArray[address, MAX_ITEMS]:
    found: DynArray[address, MAX_ITEMS] = []
    for peer: String[64] in peers:
        found.append(self.account_of[peer])
    return found


@external
@view
def getPeerId(accounts: DynArray[address, MAX_ITEMS]) -> DynArray[DynArray[String[64], MAX_OWNED], MAX_ITEMS]:
    found: DynArray[DynArray[String[64], MAX_OWNED], MAX_ITEMS] = []
    for account: address in accounts:
        found.append(self.peers_of[account])
    return found


@external
@view
def getTotalRewards(peers: DynArray[String[64], MAX_ITEMS]) -> DynArray[int256, MAX_ITEMS]:
    found: DynArray[int256, MAX_ITEMS] = []
    for peer: String[64] in peers:
        found.append(self.rewards[peer])
    return found


@external
@view
def getVoterVoteCount(peer: String[64]) -> uint256:
    return self.votes[peer]


@external
@view
def getTotalWins(peer: String[64]) -> uint256:
    return self.wins[peer]
