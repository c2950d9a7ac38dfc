"""The command line: one verb a stage. The only place that wires implementations together; nobody imports it."""

import stepward.cli.data
import stepward.cli.evaluating
import stepward.cli.grading
import stepward.cli.judging
import stepward.cli.labelling
import stepward.cli.labels
import stepward.cli.list
import stepward.cli.planning
import stepward.cli.reporting
import stepward.cli.runs
import stepward.cli.scoring
import stepward.cli.studies
import stepward.cli.training  # noqa: F401  (each adds its verbs)
from stepward.cli.program import app, main

__all__ = ["app", "main"]
