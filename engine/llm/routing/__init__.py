"""Which models may answer a request, in which order, and why. Pure; see `decision`."""

from engine.llm.routing.decision import choose, decide, decide_embedding
from engine.llm.routing.model import Candidate, Decision, Needs, Policy, Rejected, Standing

__all__ = ["Candidate", "Decision", "Needs", "Policy", "Rejected", "Standing", "choose", "decide", "decide_embedding"]
