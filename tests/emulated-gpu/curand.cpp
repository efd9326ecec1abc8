// libcurand.so.10: generators can be made, as candle does for every device. They generate nothing: this workspace draws
// its random numbers on the host.
extern "C" {
int curandCreateGenerator(void **generator, int) { return *generator = new char, 0; }
int curandDestroyGenerator(void *generator) { return delete (char *)generator, 0; }
int curandSetStream(void *, void *) { return 0; }
int curandSetPseudoRandomGeneratorSeed(void *, unsigned long long) { return 0; }
}
