"""The dumped tables are the OMOP tables: same patients, same records, in the words of a hospital's own systems."""

from __future__ import annotations

import polars as pl

from tests.hospital.conftest import Hospital

IPP = 8_000_000_000


def person(frame: pl.DataFrame) -> pl.DataFrame:
    """Add the person's OMOP id."""
    return frame.with_columns(person_id=pl.col("IPP").cast(pl.Int64) - IPP)


def day(column: str) -> pl.Expr:
    """A date as the systems write it."""
    return pl.col(column).str.to_date("%d/%m/%Y")


def same(one: pl.DataFrame, two: pl.DataFrame) -> None:
    """Both hold the same rows, however often, in any order."""
    columns = one.columns
    counted = [each.select(columns).group_by(columns).len() for each in (one, two)]
    assert one.height == two.height
    assert counted[0].join(counted[1], on=[*columns, "len"], how="anti", nulls_equal=True).height == 0


def test_patients(hospital: Hospital) -> None:
    patients = person(hospital.plain("patients"))
    omop = hospital.omop("person").select(
        "person_id", birth=pl.col("birth_datetime").dt.date(), SEXE="gender_source_value"
    )
    same(patients.select("person_id", "SEXE", birth=day("DATE_NAISSANCE")), omop)
    dead = patients.filter(pl.col("DATE_DECES").is_not_null())
    same(
        dead.select("person_id", death_date=day("DATE_DECES")), hospital.omop("death").select("person_id", "death_date")
    )
    once = pl.col("person_id") <= hospital.truths["counts"]["persons"]
    mothers = patients.filter(pl.col("IPP_MERE").is_not_null() & once)
    assert mothers.height == hospital.truths["counts"]["births"]
    known = patients.select("IPP", "SEXE", "NOM")
    both = mothers.join(known, left_on="IPP_MERE", right_on="IPP", suffix="_M")
    assert both["SEXE_M"].unique().to_list() == ["F"]
    assert (both["NOM"] == both["NOM_M"]).mean() > 0.98


def test_no_number_could_be_a_real_one(hospital: Hospital) -> None:
    numbers = hospital.plain("patients")["NIR"]
    assert numbers.str.contains(r"^[12]\d\d00\d{8}00$").all()  # month 00 and key 00: no NIR has either


def test_visits_and_units(hospital: Hospital) -> None:
    visits = person(hospital.plain("sejours")).select(
        "person_id",
        pl.col("NUM_SEJOUR").cast(pl.Int64).alias("visit_occurrence_id"),
        pl.col("TYPE").alias("visit_source_value"),
        visit_start_date=day("DATE_ENTREE"),
        visit_end_date=day("DATE_SORTIE"),
        discharged_to_source_value=pl.col("MODE_SORTIE") + pl.col("DESTINATION").fill_null(""),
    )
    same(visits, hospital.omop("visit_occurrence"))
    units = hospital.plain("rum").select(
        pl.col("NUM_SEJOUR").cast(pl.Int64).alias("visit_occurrence_id"),
        pl.col("UM").alias("visit_detail_source_value"),
        visit_detail_start_date=day("DATE_ENTREE"),
        visit_detail_end_date=day("DATE_SORTIE"),
    )
    same(units, hospital.omop("visit_detail"))


def test_diagnoses_and_acts(hospital: Hospital) -> None:
    names = ["person_id", "visit_detail_id", "code", "role"]
    omop = pl.concat(
        hospital.omop(table).select(
            "person_id", "visit_detail_id", code=f"{stem}_source_value", role=f"{role}_source_value"
        )
        for table, stem, role in (
            ("condition_occurrence", "condition", "condition_status"), ("observation", "observation", "qualifier"),
        )
    ).with_columns(pl.col("code").str.replace(".", "", literal=True))  # fmt: skip
    diagnoses = person(hospital.plain("diagnostics")).with_columns(
        visit_detail_id=pl.col("NUM_RUM").cast(pl.Int64), code="CODE_CIM10", role="TYPE"
    )
    same(diagnoses.select(names), omop.select(names))
    acts = person(hospital.plain("actes")).select(
        "person_id", procedure_source_value="CODE_CCAM", procedure_date=day("DATE_ACTE")
    )
    same(acts, hospital.omop("procedure_occurrence"))


def test_drugs(hospital: Hospital) -> None:
    drugs = hospital.omop("drug_exposure")
    ordered = person(hospital.plain("prescriptions")).select(
        "person_id", drug_source_value="UCD", drug_exposure_start_date=day("DATE_DEBUT"),
        drug_exposure_end_date=day("DATE_FIN"), days_supply=pl.col("DUREE_JOURS").cast(pl.Int64),
    )  # fmt: skip
    same(ordered, drugs.filter(pl.col("drug_type_concept_id") == 32838))
    given = person(hospital.plain("administrations")).select(
        "person_id", drug_source_value="UCD", drug_exposure_start_date=day("DATE_ADMINISTRATION")
    )
    same(given, drugs.filter(pl.col("drug_type_concept_id") == 32818))
    atc = hospital.omop("concept").filter(pl.col("vocabulary_id") == "ATC")["concept_code"]
    assert hospital.plain("prescriptions")["ATC"].is_in(atc.implode()).all()


def test_biology_and_vital_signs(hospital: Hospital) -> None:
    names = ["person_id", "code", "measurement_date", "value", "unit", "text"]
    plain = person(pl.concat([hospital.plain("biologie"), hospital.plain("constantes")])).select(
        "person_id",
        code=pl.col("CODE"),
        measurement_date=day("DATE"),
        value=pl.col("VALEUR").str.replace(",", ".").cast(pl.Float64),
        unit=pl.col("UNITE"),
        text=pl.col("RESULTAT"),
    )
    assert plain.filter(pl.col("code") == "INCONNU").height == hospital.truths["errors"]["unknown_concept"]
    lost = ~hospital.omop("measurement")["measurement_concept_id"].is_in(
        hospital.omop("concept")["concept_id"].implode()
    )
    omop = (
        hospital.omop("measurement")
        .with_columns(lost=lost)
        .select(
            "person_id",
            "measurement_date",
            code=pl.when("lost").then(pl.lit("INCONNU")).otherwise("measurement_source_value"),
            value="value_as_number",
            unit="unit_source_value",
            text=pl.col("value_as_concept_id").replace_strict(
                {9191: "Positif", 9189: "Négatif"}, return_dtype=pl.String
            ),
        )
    )
    same(plain.select(names), omop.select(names))


def test_old_systems_write_latin_1_with_their_accents(hospital: Hospital) -> None:
    data = (hospital.folder / "tables" / "diagnostics.csv").read_bytes()
    assert "Diabète sucré".encode("latin-1") in data
    assert "Diabète sucré".encode() not in data
    assert "Créatinine".encode() in (hospital.folder / "tables" / "biologie.csv").read_bytes()


def test_local_codes_are_explained(hospital: Hospital) -> None:
    for name, column, table, known in (
        ("biologie", "CODE", "ref_analyses", "CODE"),
        ("prescriptions", "UCD", "ref_medicaments", "UCD"),
        ("rum", "UM", "ref_unites", "UM"),
    ):
        used = hospital.plain(name).filter(pl.col(column) != "INCONNU")[column].unique()
        assert used.is_in(hospital.plain(table)[known].implode()).all(), name
