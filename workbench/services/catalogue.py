"""A release as a record of a catalogue: HealthDCAT-AP (the health profile of DCAT-AP), as JSON-LD.

What the release knows is filled in: counts as people see them, period, ages, coding systems, quality. What only the
holder of the data knows (who publishes, who gives access, by which law) comes from a file of facts; what the profile
demands and the file lacks is named, never invented.
Source: HealthDCAT-AP, releases 7 and 8 (European Commission, DG SANTE); EHDS, Regulation (EU) 2025/327, article 77.
"""

from __future__ import annotations

import base64
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from workbench.governance.actors import Actor
from workbench.governance.disclosure import shown
from workbench.kernel import clock
from workbench.kernel.schemas import validate
from workbench.kernel.text import LANGS, say
from workbench.services.context import Workbench
from workbench.services.quality import QualityView, is_checked, show_quality
from workbench.services.releases import ReleaseView, show_release

DEMANDED = ("publisher", "hdab", "contact", "access_url", "health_category")
"""What the profile demands of a dataset that is not public and only its holder knows."""

_EU = "http://publications.europa.eu/resource/authority"
_HEALTH = "https://hdeu-dcat.data.health.europa.eu/resource/authority"
EHDS = "http://data.europa.eu/eli/reg/2025/327/oj"
MODEL = "https://ohdsi.github.io/CommonDataModel/cdm54.html"
CODING_SYSTEMS: Mapping[str, str] = {
    "ATC": "ATC", "CIM10": "ICD-10", "CIM10FR": "ICD-10", "ICD10": "ICD-10", "ICD10CM": "ICD-10", "LOINC": "LOINC",
    "MeSH": "MESH", "RxNorm": "RXNORM", "RxNorm Extension": "RXNORM", "SNOMED": "SNOMED-CT", "UCUM": "UCUM",
}  # fmt: skip
"""OMOP's vocabulary → the code of the coding system in the list that the profile names."""

CONTEXT: Mapping[str, str] = {
    "cv": "http://data.europa.eu/m8g/",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcatap": "http://data.europa.eu/r5r/",
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "dqv": "http://www.w3.org/ns/dqv#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "healthdcatap": "http://healthdataportal.eu/ns/health#",
    "oa": "http://www.w3.org/ns/oa#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


@dataclass(frozen=True)
class Record:
    """A catalogue record as JSON-LD, and the facts that the profile demands and nobody has given."""

    document: dict[str, Any]
    missing: tuple[str, ...]


def record(wb: Workbench, actor: Actor, ref: str, facts: Mapping[str, Any] | None = None) -> Record:
    """Return the catalogue record of a release.

    `facts` are the holder's (`workbench/catalogue_facts/1`). Raises `kernel.document_invalid` where they do not fit,
    `store.no_document`.
    """
    if facts is not None:
        validate(facts, "catalogue_facts")
    given = facts or {}
    view = show_release(wb, actor, ref)
    quality = show_quality(wb, actor, view.id) if is_checked(wb, actor, view.id) else None
    document = {
        "@context": dict(CONTEXT),
        "@id": _address(view, given),
        "@type": "dcat:Dataset",
        **_said(view, given),
        **_rights(view),
        **_counts(view, quality),
        **_holder(given),
    }
    return Record(document, tuple(name for name in DEMANDED if not given.get(name)))


def _address(view: ReleaseView, given: Mapping[str, Any]) -> str:
    """Return the dataset's name: an address of the holder's, else the digest itself as a URI (RFC 6920)."""
    if given.get("base_url"):
        return f"{str(given['base_url']).rstrip('/')}/{view.id}"
    packed = base64.urlsafe_b64encode(bytes.fromhex(view.digest)).decode().rstrip("=")
    return f"ni:///sha-256;{packed}"


def _said(view: ReleaseView, given: Mapping[str, Any]) -> dict[str, Any]:
    persons = shown(view.rows.get("person") or 0)
    texts = {"fr": persons.text_fr, "en": persons.text_en}
    described = {
        lang: say("quality.dcat_description", lang, name=view.name, persons=texts[lang])
        + (" " + say("quality.dcat_synthetic", lang) if view.synthetic else "")
        for lang in LANGS
    }
    keywords = given.get("keywords") or ["OMOP CDM"]
    return {
        "dct:title": _texts(given.get("title") or dict.fromkeys(LANGS, view.name)),
        "dct:description": _texts(given.get("description") or described),
        "dct:identifier": view.digest,
        "dcat:version": view.id,
        "dct:issued": {"@value": clock.day_of(view.loaded_at).isoformat(), "@type": "xsd:date"},
        "dcat:keyword": [str(word) for word in keywords],
        "dcat:theme": {"@id": f"{_EU}/data-theme/HEAL"},
        "dct:provenance": {"@type": "dct:ProvenanceStatement", "rdfs:label": _texts(_provenance(view))},
    }


def _provenance(view: ReleaseView) -> dict[str, str]:
    kinds = ", ".join(sorted({str(source["kind"]) for source in view.sources}))
    rule = view.observation_period_rule["code"]
    return {
        lang: say("quality.dcat_provenance", lang, sources=kinds, rule=say(f"quality.rule_{rule}", lang))
        for lang in LANGS
    }


def _rights(view: ReleaseView) -> dict[str, Any]:
    kinds = () if view.synthetic else ("HealthRecord", "Age", "Gender")
    personal = [{"@id": f"https://w3id.org/dpv/dpv-pd#{name}"} for name in kinds]
    rights = {
        "dct:accessRights": {"@id": f"{_EU}/access-right/NON_PUBLIC"},
        "dcatap:applicableLegislation": {"@id": EHDS},
    }
    return {**rights, "dpv:hasPersonalData": personal} if personal else rights


def _counts(view: ReleaseView, quality: QualityView | None) -> dict[str, Any]:
    """Return what the release holds, in numbers as people see them, whoever asks; none where its persons are too few
    to show."""
    records = shown(sum(entry["rows"] or 0 for entry in view.quality["records"])).value
    persons = shown(view.rows.get("person") or 0).value
    found: dict[str, Any] = {}
    if persons is not None and records is not None:
        found["healthdcatap:numberOfRecords"] = _number(records)
        found["healthdcatap:numberOfUniqueIndividuals"] = _number(persons)
    return found if quality is None else {**found, **_of_quality(quality)}


def _of_quality(quality: QualityView) -> dict[str, Any]:
    found: dict[str, Any] = {}
    months = sorted({month for series in quality.months.values() for month, n in series.items() if n.value is not None})
    if months:
        year, month = (int(part) for part in months[-1].split("-"))
        ends = {"dcat:startDate": f"{months[0]}-01", "dcat:endDate": f"{months[-1]}-{monthrange(year, month)[1]}"}
        period = {name: {"@value": day, "@type": "xsd:date"} for name, day in ends.items()}
        found["dct:temporal"] = {"@type": "dct:PeriodOfTime", **period}
    ages = [line for line in quality.ages if line.persons.value is not None and line.start >= 0]
    if ages:
        found["healthdcatap:minTypicalAge"] = _number(min(line.start for line in ages))
        found["healthdcatap:maxTypicalAge"] = _number(max(line.end for line in ages))
    codes = sorted({CODING_SYSTEMS[name] for name in quality.vocabularies if name in CODING_SYSTEMS})
    if codes:
        found["healthdcatap:hasCodingSystem"] = [{"@id": f"{_HEALTH}/coding-system/{code}"} for code in codes]
    passed = quality.summary["passed"]
    applicable = passed + quality.summary["failed"]
    said = {
        lang: say("quality.dcat_quality", lang, passed=passed, of=applicable, version=quality.checks_version)
        for lang in LANGS
    }
    found["dqv:hasQualityAnnotation"] = {
        "@type": "dqv:QualityAnnotation",
        "oa:motivatedBy": {"@id": "dqv:qualityAssessment"},
        "oa:hasBody": {"@type": "oa:TextualBody", "rdf:value": _texts(said)},
    }
    return found


def _holder(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the holder says, and the way to the data: an address at which access is asked for."""
    found: dict[str, Any] = {}
    for name, key in (("publisher", "dct:publisher"), ("hdab", "healthdcatap:hdab")):
        if given.get(name):
            found[key] = _agent(given[name])
    if given.get("contact"):
        found["dcat:contactPoint"] = _contact(given["contact"], "vcard:Kind", "vcard:hasEmail", "vcard:hasURL")
    if given.get("access_url"):
        found["dcat:distribution"] = {
            "@type": "dcat:Distribution",
            "dct:title": _texts({lang: say("quality.dcat_access", lang) for lang in LANGS}),
            "dcat:accessURL": {"@id": given["access_url"]},
            "dcatap:applicableLegislation": {"@id": EHDS},
            "dct:conformsTo": {"@id": MODEL},
        }
    for name, key in (
        ("health_category", "healthdcatap:healthCategory"),
        ("health_theme", "healthdcatap:healthTheme"),
        ("spatial", "dct:spatial"),
        ("language", "dct:language"),
    ):
        if given.get(name):
            found[key] = [{"@id": each} for each in _several(given[name])]
    if given.get("population"):
        found["healthdcatap:populationCoverage"] = _texts(given["population"])
    return found


def _agent(who: Mapping[str, Any]) -> dict[str, Any]:
    agent = {"@type": "foaf:Agent", "foaf:name": who.get("name", "")}
    if who.get("email") or who.get("page"):
        agent["cv:contactPoint"] = _contact(who, "cv:ContactPoint", "cv:email", "cv:contactPage")
    return agent


def _contact(who: Mapping[str, Any], kind: str, email: str, page: str) -> dict[str, Any]:
    """Return where somebody is reached; a vCard's address is a URI, that of the core vocabulary a text."""
    found: dict[str, Any] = {"@type": kind}
    if who.get("email"):
        found[email] = {"@id": f"mailto:{who['email']}"} if kind.startswith("vcard") else who["email"]
    if who.get("page"):
        found[page] = {"@id": who["page"]}
    return found


def _texts(words: Mapping[str, str] | str) -> list[dict[str, str]] | str:
    return words if isinstance(words, str) else [{"@value": text, "@language": lang} for lang, text in words.items()]


def _number(value: int) -> dict[str, str]:
    return {"@value": str(value), "@type": "xsd:nonNegativeInteger"}


def _several(value: Any) -> list[Any]:
    return [*cast("list[Any]", value)] if isinstance(value, list) else [value]
