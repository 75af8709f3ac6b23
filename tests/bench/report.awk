# Reads `targets`, then lines "ENGINE NAME SECONDS [CHECKSUM]"; prints the table of `run`. Fails when two engines
# computed different results.

function member(name, engine) { return (name, engine) in best }

FNR == 1 { file++ }
/^#/ || NF < 3 { next }
file == 1 {
  groups[++group_count] = $1; want[$1] = $2; floor_of[$1] = $3
  for (i = 4; i <= NF; i++) { members[$1, ++size[$1]] = $i }
  next
}
{
  if (!(($2, $1) in best) || $3 < best[$2, $1]) best[$2, $1] = $3
  if (NF >= 4) {
    if (($2 in sum) && sum[$2] != $4) { differs = differs " " $2 } else sum[$2] = $4
  }
}

END {
  count = split(engines, engine, " ")
  printf "%-14s", "seconds"
  for (e = 1; e <= count; e++) printf "%13s", engine[e]
  for (e = 1; e <= count; e++) if (engine[e] != "qemu") printf "%13s", "x " engine[e]
  print ""
  for (g = 1; g <= group_count; g++) print_group(groups[g])
  if (differs != "") { print "different results:" differs; exit 1 }
}

function print_group(group,    i, e, name, ratio, reached, logs, used, worst) {
  for (e = 1; e <= count; e++) { logs[e] = 0; used[e] = 0; worst[e] = 1e9 }
  for (i = 1; i <= size[group]; i++) {
    name = members[group, i]
    if (!member(name, engine[1])) continue
    printf "%-14s", name
    for (e = 1; e <= count; e++) printf "%13s", member(name, engine[e]) ? sprintf("%.3f", best[name, engine[e]]) : "-"
    for (e = 1; e <= count; e++) {
      if (engine[e] == "qemu") continue
      if (!member(name, "qemu") || !member(name, engine[e])) { printf "%13s", "-"; continue }
      ratio = best[name, "qemu"] / best[name, engine[e]]
      printf "%13.2f", ratio
      logs[e] += log(ratio); used[e]++
      if (ratio < worst[e]) worst[e] = ratio
    }
    print ""
  }
  for (e = 1; e <= count; e++) {
    if (engine[e] == "qemu" || !used[e]) continue
    ratio = exp(logs[e] / used[e])
    printf "  %s, %s: %.2f x qemu (wanted %s", group, engine[e], ratio, want[group]
    if (floor_of[group] != "-") printf ", each %s; worst %.2f", floor_of[group], worst[e]
    reached = ratio >= want[group] && (floor_of[group] == "-" || worst[e] >= floor_of[group])
    print reached ? "): reached" : "): not reached"
  }
}
