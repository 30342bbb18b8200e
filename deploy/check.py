"""Checks the files of deploy/ against each other, against schemas, and against the source."""

import json
import re
import sys
import tomllib
from pathlib import Path

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
KEY_BYTES = 3072  # TiDB's and InnoDB's longest index key
faults = []


def fault(where, what):
    faults.append(f"{where}: {what}")


def documents(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def kubernetes():
    folder = DEPLOY / "kubernetes"
    listed = documents(folder / "kustomization.yaml")[0]["resources"]
    there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}
    for name in set(listed) ^ (there | {"secret.yaml"}):
        fault("kubernetes/kustomization.yaml", f"{name} is listed or there, not both")
    checked = 0
    for path in sorted(folder.glob("*.yaml")):
        for document in documents(path):
            if document["kind"] == "Kustomization":
                continue
            try:
                kubernetes_validate.validate(document, "1.31", strict=True)
                checked += 1
            except kubernetes_validate.ValidationError as error:
                fault(path.relative_to(ROOT), f"{document['kind']}: {error.message}")
    return checked


def compose():
    path = DEPLOY / "docker-compose.yml"
    document = documents(path)[0]
    services = document["services"]
    for name, service in services.items():
        if not ("image" in service or "build" in service):
            fault(path.name, f"{name} has no image")
        for other, condition in dict_of(service.get("depends_on", {})).items():
            if other not in services:
                fault(path.name, f"{name} depends on {other}, which is not there")
            if condition == "service_healthy" and "healthcheck" not in services[other]:
                fault(path.name, f"{name} waits for the health of {other}, which tells none")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and not (DEPLOY / source).exists():
                fault(path.name, f"{name} mounts {source}, which is not there")
            if not source.startswith(("./", "/")) and source not in document["volumes"]:
                fault(path.name, f"{name} mounts the volume {source}, which is not declared")
    targets = documents(DEPLOY / "compose/prometheus.yml")[0]["scrape_configs"][0]["static_configs"]
    for target in (name.split(":")[0] for entry in targets for name in entry["targets"]):
        if target not in services:
            fault("compose/prometheus.yml", f"there is no service {target}")
    return len(services)


def dict_of(depends):
    if isinstance(depends, list):
        return {name: None for name in depends}
    return {name: entry.get("condition") for name, entry in depends.items()}


def configuration():
    known = tomllib.loads((ROOT / "app/src/muster.toml").read_text())
    texts = [("compose/muster.toml", (DEPLOY / "compose/muster.toml").read_text())]
    for document in documents(DEPLOY / "kubernetes/config.yaml"):
        texts.append(("kubernetes/config.yaml", document["data"]["muster.toml"]))
    for where, text in texts:
        compare(where, tomllib.loads(text), known)
    return len(texts)


def compare(where, said, known, path=""):
    for key, value in said.items():
        if key not in known:
            fault(where, f"there is no setting {path}{key}")
        elif isinstance(value, dict):
            compare(where, value, known[key], f"{path}{key}.")


def metrics():
    source = "".join(path.read_text() for folder in ("services", "shared") for path in (ROOT / folder).rglob("*.rs"))
    kinds = dict(re.findall(r'(?:metrics::)?(?:counter|gauge|histogram)!\(\s*"(muster_\w+)"()', source))
    texts = {"grafana/muster.json": (DEPLOY / "grafana/muster.json").read_text()}
    json.loads(texts["grafana/muster.json"])
    texts["prometheus/rules.yml"] = (DEPLOY / "prometheus/rules.yml").read_text()
    for group in documents(DEPLOY / "prometheus/rules.yml")[0]["groups"]:
        for rule in group["rules"]:
            if not ({"expr"} < rule.keys() and ("alert" in rule) != ("record" in rule)):
                fault("prometheus/rules.yml", f"{rule} is no rule")
            if rule["expr"].count("(") != rule["expr"].count(")"):
                fault("prometheus/rules.yml", f"unbalanced: {rule['expr']}")
    used = set()
    for where, text in texts.items():
        for name in re.findall(r"\bmuster_\w+", text):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            used.add(base)
            if base not in kinds:
                fault(where, f"there is no metric {base}")
    return len(used)


def sql_texts():
    for path in sorted((ROOT / "migrations/mysql").glob("*.sql")):
        yield path, re.sub(r"--[^\n]*", "", path.read_text())
    for path in sorted(ROOT.glob("s*/*/src/**/store/**/*.rs")) + [ROOT / "shared/sql/src/mysql.rs"]:
        for text in re.findall(r'"((?:[^"\\]|\\.)*)"', path.read_text(), flags=re.S):
            if re.search(r"\b(SELECT|INSERT|UPDATE|DELETE)\b", text):
                yield path, text


def tidb():
    lines = (DEPLOY / "tidb/refused.txt").read_text().splitlines()
    refused = [line.split("\t") for line in lines if line and not line.startswith("#")]
    count = 0
    for path, text in sql_texts():
        count += 1
        for pattern, reason in refused:
            if found := re.search(pattern, text, flags=re.I | re.S):
                fault(path.relative_to(ROOT), f"`{found.group(0)[:60]}`: {reason}")
    for path in (ROOT / "migrations/mysql").glob("*.sql"):
        keys(path)
    return count


def keys(path):
    """Keys no longer than what a server takes, and every table and view made in a way that may be repeated."""
    text = re.sub(r"--[^\n]*", "", path.read_text())
    statements = [statement.strip() for statement in text.split(";") if statement.strip()]
    for statement in statements:
        table = re.match(
            r"CREATE TABLE IF NOT EXISTS (\w+) \((.*)\) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin"
            r"(?:\nPARTITION BY RANGE \(ds\) \(PARTITION p_rest VALUES LESS THAN MAXVALUE\))?$", statement, re.S)
        if not table and re.match(r"CREATE OR REPLACE VIEW \w+ AS\s+SELECT\b", statement):
            continue
        if not table:
            fault(path.relative_to(ROOT), f"can't be applied twice, or not in utf8mb4_bin: {statement[:60]}")
            continue
        name, body = table.groups()
        columns = dict(re.findall(r"^\s*(\w+)\s+([A-Z]+(?:\(\d+\))?)", body, re.M))
        listed = re.findall(r"(?:PRIMARY KEY|INDEX \w+|UNIQUE)\s*\(([\w, ]+)\)", body)
        listed += re.findall(r"^\s*(\w+)\s[^\n]*(?:PRIMARY KEY|UNIQUE)", body, re.M)
        for key in listed:
            length = sum(width(columns.get(column.strip(), "")) for column in key.split(","))
            if length > KEY_BYTES:
                fault(path.relative_to(ROOT), f"the key ({key}) of {name} has {length} bytes")


def width(kind):
    size = re.match(r"(?:VAR)?CHAR\((\d+)\)", kind)
    if size:
        return 4 * int(size.group(1))
    return 8 if kind in ("BIGINT", "INT", "DOUBLE") else KEY_BYTES + 1


def main():
    print(f"kubernetes: {kubernetes()} objects valid against the schemas of 1.31")
    print(f"compose: {compose()} services")
    print(f"configuration: {configuration()} files name known settings only")
    print(f"metrics: {metrics()} in rules and dashboard, all of them exist")
    print(f"SQL: {tidb()} statements and files hold nothing of deploy/tidb/refused.txt")
    for line in faults:
        print(line, file=sys.stderr)
    sys.exit(1 if faults else 0)


main()
