# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The thread, step by step
#
# From simulated patients to a model, and back, by the same services that the app and the command line call. Each step
# is done by the person whose step it is; the policy and the audit log are the same as anywhere.
#
# The home of this notebook is temporary. Its keys are the published ones of the demonstration, so the digests are
# the same on any machine with the same packages.

# %%
# ruff: noqa: B018, ERA001, T201 - a notebook shows what it makes
import json
import tempfile
from pathlib import Path

import polars as pl
from IPython.display import SVG, Markdown, display

import workbench.notebook as wbn
from workbench.cohorts.circe import read_definition
from workbench.cohorts.shipped import shipped
from workbench.intake.omop import demo_source
from workbench.kernel.errors import UserError
from workbench.kernel.settings import load_settings
from workbench.services import auditing, cohorts, demo, extracts, learning, people, releases, requests, studies, tracing
from workbench.services.context import open_workbench

place = tempfile.TemporaryDirectory(prefix="workbench-notebook-")
home = Path(place.name) / "home"
settings = load_settings(home, {"WORKBENCH_MLRUNS": str(Path(place.name) / "mlruns"), "WORKBENCH_LANG": "en"})

# %% [markdown]
# `open_workbench` makes the home here. A home that exists is opened by `workbench.notebook.open_home`, which also says
# who you are.

# %%
wb = open_workbench(settings, create=True, demo=True)
demo.welcome(wb)
wb.close()

wb, researcher = wbn.open_home(home, acting_as="researcher")
scientist, officer = (people.actor_named(wb, name) for name in ("datascientist", "ethics"))
researcher, scientist, officer

# %% [markdown]
# ## 1. A data release
#
# The data steward (the user who made the home) loads OMOP tables. The release is immutable and named by its content.

# %%
release = releases.load_omop(wb, people.first_steward(wb), demo_source(), name=demo.NAME, synthetic=True)
print(release.id, release.digest)
print("quality checks:", release.quality["summary"])
pl.DataFrame({"table": list(release.rows), "rows": list(release.rows.values())}).filter(pl.col("rows") > 0)

# %% [markdown]
# ## 2. Cohorts
#
# Circe (ATLAS) JSON, run on the release. The numbers are governed: hidden below 11, rounded to 5.

# %%
definitions = {name: read_definition(shipped()[name]) for name in (demo.TARGET, demo.OUTCOME)}
views = cohorts.generate(wb, researcher, definitions)
for view in views:
    display(Markdown(f"**{view.name}** ({view.id}): {view.sentence['en']}"))

pl.DataFrame(
    [
        {"cohort": view.name, "step": step.label["en"], "persons": step.persons.text_en, "events": step.events.text_en}
        for view in views
        for step in view.attrition
    ]
)

# %% [markdown]
# ## 3. Study, request, decision
#
# The researcher writes a protocol; the officer opens the study on its digest. The researcher files a request; the
# officer decides. The researcher cannot.

# %%
study = studies.create_study(wb, researcher, demo.PROTOCOL)
study = studies.open_study(wb, officer, study.id, protocol_digest=study.digest, reason="Minimal, simulated data.")
request = requests.file_request(wb, researcher, study.id, demo.REQUEST)

try:
    requests.decide(wb, researcher, request.id, "approved", protocol_digest=study.digest, reason="Mine.")
except UserError as error:
    print(error)

request = requests.decide(
    wb, officer, request.id, "approved", protocol_digest=study.digest, reason="Within the protocol."
)
print(request.id, request.state, "until", request.expires_on)
pl.DataFrame(
    [
        {"table": name, "requested": len(c.requested), "approved": len(c.approved), "delivered": ", ".join(c.delivered)}
        for name, c in request.columns.items()
    ]
)

# %% [markdown]
# ## 4. The extract
#
# Pseudonyms of this study, days from the index, encrypted, and inspected by a second pass before anybody can see it.

# %%
extract = extracts.run_extract(wb, researcher, request.id)
print(extract.id, extract.state)
pl.DataFrame(extract.manifest["transforms"])

# %% [markdown]
# Opening its rows is allowed to the study's members and is logged. The officer reads the manifest, never the rows.

# %%
_, tables, _ = extracts.open_tables(wb, scientist, extract.id)
display(tables["cohort"].head(5))
display(tables["condition_occurrence"].head(5))

try:
    extracts.open_tables(wb, officer, extract.id)
except UserError as error:
    print(error)

# %% [markdown]
# ## 5. Features and a model
#
# From the extract alone. A window that looks past the index day is refused.

# %%
design = {**learning.design_for(wb, scientist, extract.id), "models": ["l1_logistic"]}

try:
    leaking = {**design, "windows": [{"name": "after", "from_day": -30, "to_day": 7}]}
    learning.build_features(wb, scientist, extract.id, leaking)
except UserError as error:
    print(error)

features = learning.build_features(wb, scientist, extract.id, design)
(model,) = learning.train(wb, scientist, features.id)
print(features.id, model.id)
pl.DataFrame({"metric": list(model.manifest["metrics"]), "value": list(model.manifest["metrics"].values())})


# %% [markdown]
# Calibration on held-out persons: on the diagonal the predicted risk is the observed one.


# %%
def calibration(groups: list[dict[str, float]], side: int = 280) -> SVG:
    """Draw predicted against observed risk, each group a dot as wide as it has persons."""
    top = 1.1 * max(max(group["predicted"], group["observed"]) for group in groups)
    dots = "".join(
        f'<circle cx="{side * group["predicted"] / top:.1f}" cy="{side * (1 - group["observed"] / top):.1f}" '
        f'r="{group["persons"] ** 0.5 / 1.5:.1f}" fill="#0B5A6B" fill-opacity="0.7"/>'
        for group in groups
    )
    axes = f'<rect width="{side}" height="{side}" fill="#FBFCFC" stroke="#CFDADC"/>'
    line = f'<line x1="0" y1="{side}" x2="{side}" y2="0" stroke="#16262B" stroke-dasharray="4 3"/>'
    return SVG(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side}" height="{side}" role="img">{axes}{line}{dots}</svg>'
    )


display(calibration(model.evaluation["calibration_groups"]))
pl.DataFrame(model.evaluation["calibration_groups"])

# %%
display(Markdown(model.card["en"]))

# %% [markdown]
# ## 6. The thread and the log
#
# From the model back to the release; then the audit log, verified from its first entry to its last.

# %%
thread = tracing.trace(wb, officer, model.id)
display(pl.DataFrame([{"kind": link.kind, "id": link.id, "digest": link.digest[:12]} for link in thread.links]))

verdict = auditing.verify_log(wb, officer)
print(json.dumps({"sound": verdict.sound, "entries": verdict.entries, "head": verdict.head}))
pl.DataFrame(
    [{"no.": e.seq, "who": e.actor, "verb": e.verb, "outcome": e.outcome, "subject": e.subject or ""}
     for e in reversed(auditing.log(wb, officer))]
)  # fmt: skip

# %%
wb.close()
place.cleanup()
