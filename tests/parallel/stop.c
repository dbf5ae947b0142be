/* Preloaded, stops rank 1 just before it makes the call of MPI that $TERNFLOCK_TEST_STOP names. */

#include <mpi.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void before(const char *call) {
    const char *stop = getenv("TERNFLOCK_TEST_STOP");
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    if (!rank) rank = getenv("PMI_RANK");
    if (stop && rank && !strcmp(stop, call) && !strcmp(rank, "1")) raise(SIGSTOP);
}

int MPI_Comm_dup(MPI_Comm of, MPI_Comm *to) {
    before("MPI_Comm_dup");
    return PMPI_Comm_dup(of, to);
}

int MPI_Comm_split_type(MPI_Comm of, int type, int key, MPI_Info info, MPI_Comm *to) {
    before("MPI_Comm_split_type");
    return PMPI_Comm_split_type(of, type, key, info, to);
}

int MPI_Allreduce(const void *from, void *to, int count, MPI_Datatype type, MPI_Op op, MPI_Comm in) {
    before("MPI_Allreduce");
    return PMPI_Allreduce(from, to, count, type, op, in);
}

int MPI_Finalize(void) {
    before("MPI_Finalize");
    return PMPI_Finalize();
}
