"""The stages in their order."""

from trainer.protocol import RoundAndStage
from trainer.stages import answers, consensus, judgements
from trainer.stages.stage import Stage

STAGES = (answers.STAGE, judgements.STAGE, consensus.STAGE)


def stage_at(number: int) -> Stage:
    """The stage of this number; a round with more stages repeats the last one."""
    return STAGES[min(number, len(STAGES) - 1)]


def source_of(at: RoundAndStage) -> RoundAndStage | None:
    """The place whose outputs a stage is made from; None for the first."""
    return RoundAndStage(at.round, min(at.stage, len(STAGES) - 1) - 1) if at.stage else None
