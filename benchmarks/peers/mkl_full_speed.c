/* Preloaded, this tells Intel's MKL inside PyTorch that the processor is one of Intel's. On others it leaves AVX-512
   unused, which costs a PyTorch from PyPI about half its speed there. */
int mkl_serv_intel_cpu_true(void) { return 1; }
