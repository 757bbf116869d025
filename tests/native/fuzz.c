/* libFuzzer's entry: clang -fsanitize=fuzzer. See `make fuzz`. */
#include "drive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    drive(data, size);
    return 0;
}
