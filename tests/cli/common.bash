# common.bash: what tests of the command share: a folder of their own, a tiny run, refusals.
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
micro=$tests/support/micro.poa
data=/usr/share/datasets/fashion-mnist
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache GOMP_SPINCOUNT=1000
cd "$work"

fail() { echo "FAILED: $*"; exit 1; }
skip() { echo "skipped: $*"; exit 0; }
need_data() { [[ -d $data ]] || skip "Debian's dataset-fashion-mnist is not installed"; }

# A run of four steps, in the folder `run`.
make_run() { "$poa" train "$micro" --data "$data" --seed 3 --steps 4 --quiet --out run >/dev/null; }

# refuse PATTERN COMMAND..: exit status 1 or 2 and the pattern on standard error.
refuse() {
  local pattern=$1 status=0
  shift
  "$@" >out.log 2>err.log || status=$?
  [[ $status == 1 || $status == 2 ]] || { cat err.log; fail "status $status of: $*"; }
  grep -qE -- "$pattern" err.log || { head -5 err.log; fail "expected /$pattern/ from: $*"; }
}
