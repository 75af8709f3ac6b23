# Runs the benchmarks in the guest; sourced by /init with hs.mode=bench, or run on the host for calibration.
# hs.bench=NAME,NAME on the kernel command line (or $BENCH_ONLY) names those wanted; the default is all.
bench=${BENCH_PROGRAM:-/bench/bench}
only=${BENCH_ONLY:-}
[ -n "$only" ] || only=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^hs.bench=//p')

all="sha256 crc32 quicksort records chase_256k chase_64m copy64 bytecode calls indirect
  nbody mandelbrot packed_sse x87 rep_movsb rep_movsq rep_stosb
  getppid pipe fork_exec page_faults shell_loop shell_gzip"
[ "$only" = none ] && all=
[ -z "$only" ] || [ "$only" = none ] || all=$(echo "$only" | tr ',' ' ')

shell_loop() {
  local i=0 sum=0 word
  while [ $i -lt 150000 ]; do
    case $i in *7) word=seven ;; *) word=other ;; esac
    sum=$(((sum * 31 + i + ${#word}) & 65535))
    i=$((i + 1))
  done
  echo $sum
}

shell_gzip() { seq 1 200000 | sed 's/7/seven/' | gzip -c | gunzip -c | tail -n 1; }

for name in $all; do
  case $name in
    shell_*)
      echo "BENCH-BEGIN $name"
      echo "BENCH-END $name $($name)"
      ;;
    *) "$bench" "$name" ;;
  esac
done
