"""Which rewrites are kept: those that say no more than their sources (rewrite/rules.py)."""

from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Grounding
from askback.records import Example, reject
from askback.rewrite.rules import fault

STAGE = "grounded"


@recorded(version=2)
def keep_grounded(step: Step, options: Grounding, *, pairs: Records[Example]) -> Records[Example]:
    """Keep the rewrites that their sources bear out; the others are rejected with the rule and what it found.

    The source is the text that was rewritten, and the title of its document. Asks no model, so that other bounds take
    seconds.
    """
    outcome = Outcome[Example]()
    for pair in pairs:
        about = pair.provenance
        source = f"{about.title}\n\n{pair.original}" if about.title else pair.original
        if found := fault(pair.output, source, options, about.language):
            rule, detail = found
            outcome.drop(reject(pair.id, STAGE, rule, detail, uri=about.uri, text=pair.output))
        else:
            outcome.keep(STAGE, pair)
    return step.write(Example, [outcome])
