#!/usr/bin/env bash
# usage: choose.sh     in a checkout of commit 64b6c00, with its .venv and the corpus in data/multi30k
# Two searches at a time, one core each. Whatever is there is resumed. The rule is in README.md beside this file.
runs=$(cd "$(dirname "$0")" && pwd)
base=$runs/../../configs/multi30k-en-fr.yaml
export runs base
settings='default
interval-half search.interval=0.5
interval-two search.interval=2
population-16 search.population=16 training.epochs=5
population-5 search.population=5 training.epochs=16
fraction-eighth search.pbt.fraction=0.125
bootstrap search.pbt.exploit=bootstrap
frequencies-1-3 search.pbt.frequencies=[1,3]
burn-in-3 search.pbt.burn_in=3
step-wide search.pbt.factor=1.6 search.pbt.fraction_of_range=0.3 search.pbt.resample_probability=0
backtrack search.pbt.exploit=backtrack'

search() {  # seeds name settings...: the searches of seeds 0 to seeds - 1
  local seeds=$1 name=$2 out=$runs/$2 sets=() set
  shift 2
  for set in "$@"; do sets+=(--set "$set"); done
  if [ -f "$out/journal.jsonl" ]; then
    .venv/bin/nmt-pbt compare --resume "$out" --seeds "$seeds" < /dev/null
  else
    .venv/bin/nmt-pbt compare --config "$base" "${sets[@]}" --seeds "$seeds" --out "$out" < /dev/null
  fi
  echo "=== $(date) $name seeds $seeds rc $?"
}
export -f search

all() {  # reads lines of seeds and settings, and does two side by side
  xargs -P 2 -d '\n' -I{} bash -c "search {}"
}

best() {  # prints the default and the five others whose winners have the highest mean dev BLEU over seeds 0 and 1
  .venv/bin/python - <<'P'
import json, os, pathlib
means = {}
for journal in pathlib.Path(os.environ["runs"]).glob("*/journal.jsonl"):
    records = map(json.loads, journal.read_text(encoding="utf-8").splitlines())
    dev = {record["seed"]: record["dev"]["val_bleu"] for record in records if record["event"] == "tested"}
    if 0 in dev and 1 in dev:
        means[journal.parent.name] = (dev[0] + dev[1]) / 2
others = sorted((name for name in means if name != "default"), key=lambda name: -means[name])
print("\n".join(["default", *others[:5]]))
P
}

for seeds in 1 2; do sed "s/^/$seeds /" <<< "$settings"; done | all
kept=$(best)
for seeds in 3 4 5; do
  for name in $kept; do grep -E "^$name( |$)" <<< "$settings"; done | sed "s/^/$seeds /"
done | all
