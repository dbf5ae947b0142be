/* A macro with a cast, which bindings cannot take over. */
#include <mpi.h>

const void *ternflock_mpi_in_place(void) { return MPI_IN_PLACE; }
