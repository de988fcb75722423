"""What is known of a release's quality: a few checks in its manifest (`manifest`), and with it the checks of OHDSI's
DataQualityDashboard (`dashboard`) and the counts that researchers look at first (`profile`)."""

from workbench.intake.quality.manifest import assess

__all__ = ["assess"]
