#!/usr/bin/env bash
# Prepares this machine to build and train: `./setup.sh`; to run the tests too: `./setup.sh test`.
# On Debian and Ubuntu, it installs missing packages with apt, using sudo if you are not root. On other systems, or
# without permission to install, it lists what is missing and how to get it, and ends with exit code 3.
# `./setup.sh cluster` installs the packages for `make cluster`, only as root on Debian; elsewhere it does nothing.
# `./setup.sh fuzz` installs what `make fuzz` needs, and `./setup.sh lint` the tools of `make lint` for scripts, if
# possible. `./setup.sh has-data` only checks whether Fashion-MNIST is on this machine. With MPI=mpich in the
# environment, MPICH is installed instead of Open MPI; a machine can have both.
set -euo pipefail
cd "$(dirname "$0")"

case ${MPI:-openmpi} in
    openmpi) MPI_PACKAGES=(openmpi-bin libopenmpi-dev) ;;
    mpich) MPI_PACKAGES=(mpich libmpich-dev) ;;
    *) echo "setup: MPI=$MPI is neither openmpi nor mpich" >&2; exit 2 ;;
esac
BUILD_PACKAGES=("${MPI_PACKAGES[@]}" libhdf5-dev libopenblas-dev libclang-dev pkg-config gcc make curl
    ca-certificates)
TEST_PACKAGES=(hdf5-tools python3-h5py)
CLUSTER_PACKAGES=(iproute2 util-linux munge slurmctld slurmd slurm-client slurm-wlm-basic-plugins)
LINT_PACKAGES=(shellcheck)
DATA_PACKAGE=dataset-fashion-mnist
MISSING=3

say() { printf 'setup: %s\n' "$*" >&2; }

has() { command -v "$1" >/dev/null 2>&1; }

# Whether Fashion-MNIST is where `ternflock` looks for it (src/data/places.rs, src/data/idx/names.rs).
has_data() {
    local directory cache=${XDG_CACHE_HOME:-}
    [[ $cache == /* ]] || cache=${HOME:-}/.cache
    for directory in "${TERNFLOCK_DATA:+$TERNFLOCK_DATA/fashion-mnist}" data/fashion-mnist \
        "$cache/ternflock/fashion-mnist" /usr/share/datasets/fashion-mnist; do
        [[ -n $directory ]] || continue
        compgen -G "$directory/train-images?idx3-ubyte*" >/dev/null && return
        compgen -G "$directory/FashionMNIST/raw/train-images?idx3-ubyte*" >/dev/null && return
    done
    return 1
}

# If packages may be installed, Rust may be installed too, for this user only, with rustup. A Rust that is too old must be
# replaced by the user.
check_rust() {
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
    if ! has cargo || ! has rustc; then
        if [[ $1 != install ]] || ! install_rust; then
            say "cargo is missing: Rust $wanted or newer is needed; see https://rustup.rs"
            exit $MISSING
        fi
    fi
    found=$(rustc --version | cut -d' ' -f2)
    if [[ $(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1) != "$wanted" ]]; then
        say "rustc is $found, but $wanted or newer is needed. Get it with"
        say "    rustup update stable    (or install rustup: https://rustup.rs)"
        exit $MISSING
    fi
}

install_rust() {
    say "cargo is missing: installing Rust with rustup"
    local installer
    installer=$(mktemp) || return
    curl --proto '=https' --tlsv1.2 --silent --show-error --fail --output "$installer" https://sh.rustup.rs &&
        sh "$installer" -y --profile minimal --no-modify-path >&2
    local result=$?
    rm -f "$installer"
    return $result
}

installed() { [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

may_install() { [[ $EUID == 0 ]] || has sudo; }

apt_get() {
    local as_root=()
    [[ $EUID == 0 ]] || as_root=(sudo)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "$@"
}

# Installs those of the given packages that are not installed.
install_packages() {
    local package missing=()
    for package in "$@"; do
        installed "$package" || missing+=("$package")
    done
    [[ ${#missing[@]} == 0 ]] && return
    say "installing with apt: ${missing[*]}"
    apt_get update && apt_get install --yes --no-install-recommends "${missing[@]}"
}

# Tools can also be installed without packages: if apt fails, only check that the tools work.
setup_debian() {
    local purpose=$1 packages=("${BUILD_PACKAGES[@]}")
    [[ $purpose == test ]] && packages+=("${TEST_PACKAGES[@]}")
    if ! install_packages "${packages[@]}"; then
        say "apt did not install the required packages; its message is above"
        check_tools "$purpose"
    fi
    if ! has_data && ! install_packages "$DATA_PACKAGE"; then
        say "the package $DATA_PACKAGE could not be installed; jobs/lenet-digits.toml trains without it"
    fi
}

# Whether the linker finds OpenBLAS, from a package, a module, Spack or conda.
links_openblas() { printf 'int main(void) { return 0; }\n' | cc -x c - -lopenblas -o /dev/null 2>/dev/null; }

has_hdf5() { [[ -n ${HDF5_DIR:-} ]] || has h5cc || pkg-config --exists hdf5 2>/dev/null; }

has_libclang() {
    [[ -n ${LIBCLANG_PATH:-} ]] || has llvm-config || ldconfig -p 2>/dev/null | grep -q 'libclang[-.0-9]*\.so'
}

has_h5py() { python3 -c 'import h5py' 2>/dev/null || /usr/bin/python3 -c 'import h5py' 2>/dev/null; }

check_tools() {
    local missing=()
    has cc || missing+=("a C compiler (cc)")
    has make || missing+=("make")
    has pkg-config || missing+=("pkg-config")
    has "${MPICC:-mpicc}" && has "${MPIRUN:-mpirun}" || missing+=("MPI (${MPICC:-mpicc}, ${MPIRUN:-mpirun})")
    has_hdf5 || missing+=("HDF5 (h5cc, hdf5.pc or HDF5_DIR)")
    links_openblas || missing+=("OpenBLAS (cc -lopenblas)")
    has_libclang || missing+=("libclang (LIBCLANG_PATH)")
    if [[ $1 == test ]]; then
        has h5dump || missing+=("h5dump, for tests")
        has_h5py || missing+=("Python's h5py, for tests")
    fi
    [[ ${#missing[@]} == 0 ]] && return
    say "missing on this machine:"
    local what
    for what in "${missing[@]}"; do say "    $what"; done
    how_to_get_tools
    exit $MISSING
}

how_to_get_tools() {
    cat >&2 <<'END'
Get them in one of these ways, then run this again:

Debian, Ubuntu (as root):
    apt-get update
    apt-get install openmpi-bin libopenmpi-dev libhdf5-dev libopenblas-dev libclang-dev pkg-config gcc make curl \
        hdf5-tools python3-h5py

Fedora, RHEL and relatives (with EPEL and CRB), as root:
    dnf install openmpi-devel hdf5-devel openblas-devel clang-devel pkgconf-pkg-config gcc make curl hdf5 python3-h5py
    module load mpi/openmpi-x86_64

Spack, without root:
    spack install openmpi hdf5~mpi openblas llvm+clang pkgconf py-h5py~mpi
    spack load openmpi hdf5~mpi openblas llvm pkgconf py-h5py
    export HDF5_DIR="$(spack location -i hdf5~mpi)" LIBCLANG_PATH="$(spack location -i llvm)/lib"
    export LIBRARY_PATH="$(spack location -i openblas)/lib:$HDF5_DIR/lib"
    export LD_LIBRARY_PATH="$LIBRARY_PATH"

conda-forge, without root:
    conda create -n ternflock -c conda-forge openmpi hdf5 openblas clang libclang pkg-config c-compiler make h5py
    conda activate ternflock
    export HDF5_DIR="$CONDA_PREFIX" LIBCLANG_PATH="$CONDA_PREFIX/lib"
    export LIBRARY_PATH="$CONDA_PREFIX/lib" LD_LIBRARY_PATH="$CONDA_PREFIX/lib"

You can also use the modules of a cluster: load Open MPI, HDF5 (serial), OpenBLAS and LLVM.
END
}

# Emulated hosts need root anyway. Without the packages, their checks are skipped with a message.
setup_cluster() {
    if has apt-get && has dpkg-query && [[ $EUID == 0 ]]; then
        install_packages "${CLUSTER_PACKAGES[@]}" || say "apt did not install Slurm; its message is above"
    fi
}

# Without shellcheck, `make lint` skips the scripts.
setup_lint() {
    if ! has shellcheck && has apt-get && has dpkg-query && may_install; then
        install_packages "${LINT_PACKAGES[@]}" || say "apt did not install ${LINT_PACKAGES[*]}"
    fi
}

# libFuzzer and the sanitizers need a nightly compiler; libFuzzer itself is C++. Without them, fuzzing is skipped.
setup_fuzz() {
    if has apt-get && has dpkg-query && may_install && ! has c++; then
        install_packages g++ || say "apt did not install g++; its message is above"
    fi
    export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
    if has rustup && ! cargo +nightly --version >/dev/null 2>&1; then
        rustup toolchain install nightly --profile minimal || say "rustup did not install a nightly compiler"
    fi
    cargo +nightly fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked ||
        say "cargo did not install cargo-fuzz"
}

main() {
    case $1 in
        '' | test) ;;
        has-data) has_data; return ;;
        cluster) setup_cluster; return ;;
        fuzz) setup_fuzz; return ;;
        lint) setup_lint; return ;;
        *) say "usage: ./setup.sh [test | cluster | fuzz | lint | has-data]"; exit 2 ;;
    esac
    if has apt-get && has dpkg-query && may_install; then
        setup_debian "$1"
        check_rust install
    else
        check_tools "$1"
        has_data || say "Fashion-MNIST is not on this machine yet; to get it: ternflock data fetch fashion-mnist"
        check_rust look
    fi
}

main "${1:-}"
