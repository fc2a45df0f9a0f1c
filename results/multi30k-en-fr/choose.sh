#!/usr/bin/env bash
# usage: choose.sh LANE  (0 or 1): every other setting, seed by seed, resuming what is there
cd "$(dirname "$0")/../.."
lane=$1
settings=(
"default"
"interval-half search.interval=0.5"
"interval-two search.interval=2"
"population-16 search.population=16 training.epochs=5"
"population-5 search.population=5 training.epochs=16"
"fraction-eighth search.pbt.fraction=0.125"
"bootstrap search.pbt.exploit=bootstrap"
"frequencies-1-3 search.pbt.frequencies=[1,3]"
"burn-in-3 search.pbt.burn_in=3"
"step-wide search.pbt.factor=1.6 search.pbt.fraction_of_range=0.3 search.pbt.resample_probability=0"
"backtrack search.pbt.exploit=backtrack"
"pb2 search.pbt.explore=pb2"
"random search.methods=[random]"
)
for seeds in 1 2 3 4 5; do
  for i in "${!settings[@]}"; do
    [ $((i % 2)) = "$lane" ] || continue
    read -r name rest <<< "${settings[$i]}"
    sets=(); for s in $rest; do sets+=(--set "$s"); done
    out=results/multi30k-en-fr/$name
    if [ -f "$out/journal.jsonl" ]; then
      .venv/bin/nmt-pbt compare --resume "$out" --seeds $seeds < /dev/null
    else
      .venv/bin/nmt-pbt compare --config configs/multi30k-en-fr.yaml "${sets[@]}" --seeds $seeds --out "$out" < /dev/null
    fi
    echo "=== $(date) lane $lane $name seeds $seeds rc $?"
  done
done
