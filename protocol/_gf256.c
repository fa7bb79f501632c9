/* Dot products over GF(2^8), polynomial 0x11d: the C twin of protocol/gf256.py, one function per instruction set.

   A kernel computes rows of   output[r] = sum over c of coefficients[r][c] * source[c]   on symbols of any length.
   Multiplication by a constant is linear over GF(2), so a product is the sum of the products of its two nibbles (two
   16-byte table look-ups, one shuffle each) or one 8x8 bit matrix (GFNI). Each loaded source vector serves several
   rows while their sums stay in registers: memory is read once per group of rows, not once per row.

   It keeps no state but the tables made at import, allocates nothing, trusts no length that it has not checked, and
   releases the GIL for work that is longer than taking it back. Every kernel gives the same bytes as `scalar`. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && defined(__x86_64__)
#define WITH_X86 1
#include <immintrin.h>
#elif defined(__GNUC__) && defined(__aarch64__)
#define WITH_NEON 1
#include <arm_neon.h>
#endif

#define POLYNOMIAL 0x11d
#define MAX_SLOTS 256 /* a slot is one byte */
#define GIL_RELEASE_THRESHOLD 16384 /* [bytes of source] about 1 us of the fastest kernel with 8 rows */

struct tables {
    uint8_t products[256][256];
    uint8_t nibbles[256][32]; /* c times 0..15, then c times 0x00, 0x10 .. 0xf0 */
    uint64_t matrices[256];   /* c as the bit matrix that gf2p8affineqb takes */
};

struct task {
    const struct tables *tables;
    const uint8_t *coefficients; /* rows x columns */
    const uint8_t *sources[MAX_SLOTS];
    uint8_t *outputs[MAX_SLOTS];
    size_t columns, rows, length;
};

typedef void kernel_function(const struct task *);

/* ---- the reference ---------------------------------------------------------------------------------------------- */

static void scalar(const struct task *task)
{
    for (size_t row = 0; row < task->rows; row++) {
        uint8_t *output = task->outputs[row];
        memset(output, 0, task->length);
        for (size_t column = 0; column < task->columns; column++) {
            const uint8_t *products = task->tables->products[task->coefficients[row * task->columns + column]];
            const uint8_t *source = task->sources[column];
            for (size_t at = 0; at < task->length; at++)
                output[at] ^= products[source[at]];
        }
    }
}

/* ---- the vector kernels ----------------------------------------------------------------------------------------- */

#if defined(WITH_X86) || defined(WITH_NEON)

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16") /* the sums must become registers, so no loop over them may remain */

/* One kernel from five primitives NAME_vector, NAME_operand, NAME_load, NAME_factor_of, NAME_multiply_add, NAME_store.
   A tile is `rows` outputs by `width` vectors, ROWS x WIDTH at most: the sums, one column's operands and one factor must
   fit the registers. Each kernel's shape was the fastest of four to seven with 8 rows (EPYC Zen 4, 2026-11; not NEON).
   A symbol's odd tail is one more tile that overlaps the one before it: outputs never
   alias sources, so computing some bytes twice is harmless and no scalar loop is needed. */
#define DEFINE_KERNEL(NAME, TARGET, ROWS, WIDTH)                                                                      \
    TARGET INLINE void NAME##_tile(const struct task *task, size_t row, size_t at, const int rows, const int width)   \
    {                                                                                                                 \
        NAME##_vector sums[ROWS][WIDTH];                                                                              \
        NAME##_operand operands[WIDTH];                                                                               \
        memset(sums, 0, sizeof sums);                                                                                 \
        for (size_t column = 0; column < task->columns; column++) {                                                   \
            const uint8_t *source = task->sources[column] + at;                                                       \
            const uint8_t *coefficients = task->coefficients + row * task->columns + column;                          \
            UNROLL for (int w = 0; w < width; w++)                                                                    \
                operands[w] = NAME##_load(source + w * sizeof(NAME##_vector));                                        \
            UNROLL for (int r = 0; r < rows; r++) {                                                                   \
                NAME##_factor factor = NAME##_factor_of(task->tables, coefficients[r * task->columns]);               \
                UNROLL for (int w = 0; w < width; w++)                                                                \
                    sums[r][w] = NAME##_multiply_add(sums[r][w], factor, operands[w]);                                \
            }                                                                                                         \
        }                                                                                                             \
        UNROLL for (int r = 0; r < rows; r++)                                                                         \
            UNROLL for (int w = 0; w < width; w++)                                                                    \
                NAME##_store(task->outputs[row + r] + at + w * sizeof(NAME##_vector), sums[r][w]);                    \
    }                                                                                                                 \
    TARGET INLINE size_t NAME##_rows(const struct task *task, size_t row, const int rows)                             \
    {                                                                                                                 \
        const size_t step = sizeof(NAME##_vector);                                                                    \
        size_t at = 0;                                                                                                \
        for (; at + WIDTH * step <= task->length; at += WIDTH * step)                                                 \
            NAME##_tile(task, row, at, rows, WIDTH);                                                                  \
        for (; at + step <= task->length; at += step)                                                                 \
            NAME##_tile(task, row, at, rows, 1);                                                                      \
        if (at < task->length)                                                                                        \
            NAME##_tile(task, row, task->length - step, rows, 1);                                                     \
        return row + rows;                                                                                            \
    }                                                                                                                 \
    TARGET static void NAME(const struct task *task)                                                                  \
    {                                                                                                                 \
        if (task->length < sizeof(NAME##_vector)) {                                                                   \
            scalar(task);                                                                                             \
            return;                                                                                                   \
        }                                                                                                             \
        size_t row = 0;                                                                                               \
        while (task->rows - row >= ROWS)                                                                              \
            row = NAME##_rows(task, row, ROWS);                                                                       \
        if (ROWS > 4 && task->rows - row >= 4)                                                                        \
            row = NAME##_rows(task, row, 4);                                                                          \
        if (task->rows - row >= 2)                                                                                    \
            row = NAME##_rows(task, row, 2);                                                                          \
        if (task->rows - row >= 1)                                                                                    \
            NAME##_rows(task, row, 1);                                                                                \
    }

#endif

#ifdef WITH_X86

#define SSSE3 __attribute__((target("ssse3")))
#define AVX2 __attribute__((target("avx2")))
#define GFNI_AVX2 __attribute__((target("gfni,avx2")))
#define GFNI_AVX512 __attribute__((target("gfni,avx512f,avx512bw")))

typedef __m128i ssse3_vector;
typedef struct { __m128i low, high; } ssse3_operand, ssse3_factor;

SSSE3 INLINE ssse3_operand ssse3_load(const uint8_t *source)
{
    const __m128i mask = _mm_set1_epi8(0x0f);
    __m128i bytes = _mm_loadu_si128((const __m128i *)source);
    return (ssse3_operand){_mm_and_si128(bytes, mask), _mm_and_si128(_mm_srli_epi64(bytes, 4), mask)};
}

SSSE3 INLINE ssse3_factor ssse3_factor_of(const struct tables *tables, uint8_t coefficient)
{
    const __m128i *halves = (const __m128i *)tables->nibbles[coefficient];
    return (ssse3_factor){_mm_loadu_si128(halves), _mm_loadu_si128(halves + 1)};
}

SSSE3 INLINE __m128i ssse3_multiply_add(__m128i sum, ssse3_factor factor, ssse3_operand operand)
{
    sum = _mm_xor_si128(sum, _mm_shuffle_epi8(factor.low, operand.low));
    return _mm_xor_si128(sum, _mm_shuffle_epi8(factor.high, operand.high));
}

SSSE3 INLINE void ssse3_store(uint8_t *output, __m128i sum) { _mm_storeu_si128((__m128i *)output, sum); }

typedef __m256i avx2_vector;
typedef struct { __m256i low, high; } avx2_operand, avx2_factor;

AVX2 INLINE avx2_operand avx2_load(const uint8_t *source)
{
    const __m256i mask = _mm256_set1_epi8(0x0f);
    __m256i bytes = _mm256_loadu_si256((const __m256i *)source);
    return (avx2_operand){_mm256_and_si256(bytes, mask), _mm256_and_si256(_mm256_srli_epi64(bytes, 4), mask)};
}

AVX2 INLINE avx2_factor avx2_factor_of(const struct tables *tables, uint8_t coefficient)
{
    const __m128i *halves = (const __m128i *)tables->nibbles[coefficient];
    return (avx2_factor){_mm256_broadcastsi128_si256(_mm_loadu_si128(halves)),
                         _mm256_broadcastsi128_si256(_mm_loadu_si128(halves + 1))};
}

AVX2 INLINE __m256i avx2_multiply_add(__m256i sum, avx2_factor factor, avx2_operand operand)
{
    sum = _mm256_xor_si256(sum, _mm256_shuffle_epi8(factor.low, operand.low));
    return _mm256_xor_si256(sum, _mm256_shuffle_epi8(factor.high, operand.high));
}

AVX2 INLINE void avx2_store(uint8_t *output, __m256i sum) { _mm256_storeu_si256((__m256i *)output, sum); }

typedef __m256i gfni256_vector, gfni256_operand, gfni256_factor;

GFNI_AVX2 INLINE __m256i gfni256_load(const uint8_t *source) { return _mm256_loadu_si256((const __m256i *)source); }

GFNI_AVX2 INLINE __m256i gfni256_factor_of(const struct tables *tables, uint8_t coefficient)
{
    return _mm256_set1_epi64x((long long)tables->matrices[coefficient]);
}

GFNI_AVX2 INLINE __m256i gfni256_multiply_add(__m256i sum, __m256i factor, __m256i operand)
{
    return _mm256_xor_si256(sum, _mm256_gf2p8affine_epi64_epi8(operand, factor, 0));
}

GFNI_AVX2 INLINE void gfni256_store(uint8_t *output, __m256i sum) { _mm256_storeu_si256((__m256i *)output, sum); }

typedef __m512i gfni512_vector, gfni512_operand, gfni512_factor;

GFNI_AVX512 INLINE __m512i gfni512_load(const uint8_t *source) { return _mm512_loadu_si512(source); }

GFNI_AVX512 INLINE __m512i gfni512_factor_of(const struct tables *tables, uint8_t coefficient)
{
    return _mm512_set1_epi64((long long)tables->matrices[coefficient]);
}

GFNI_AVX512 INLINE __m512i gfni512_multiply_add(__m512i sum, __m512i factor, __m512i operand)
{
    return _mm512_xor_si512(sum, _mm512_gf2p8affine_epi64_epi8(operand, factor, 0));
}

GFNI_AVX512 INLINE void gfni512_store(uint8_t *output, __m512i sum) { _mm512_storeu_si512(output, sum); }

DEFINE_KERNEL(ssse3, SSSE3, 4, 2)
DEFINE_KERNEL(avx2, AVX2, 4, 2)
DEFINE_KERNEL(gfni256, GFNI_AVX2, 4, 2)
DEFINE_KERNEL(gfni512, GFNI_AVX512, 8, 2)

#endif

#ifdef WITH_NEON

typedef uint8x16_t neon_vector;
typedef struct { uint8x16_t low, high; } neon_operand, neon_factor;

INLINE neon_operand neon_load(const uint8_t *source)
{
    uint8x16_t bytes = vld1q_u8(source);
    return (neon_operand){vandq_u8(bytes, vdupq_n_u8(0x0f)), vshrq_n_u8(bytes, 4)};
}

INLINE neon_factor neon_factor_of(const struct tables *tables, uint8_t coefficient)
{
    const uint8_t *halves = tables->nibbles[coefficient];
    return (neon_factor){vld1q_u8(halves), vld1q_u8(halves + 16)};
}

INLINE uint8x16_t neon_multiply_add(uint8x16_t sum, neon_factor factor, neon_operand operand)
{
    sum = veorq_u8(sum, vqtbl1q_u8(factor.low, operand.low));
    return veorq_u8(sum, vqtbl1q_u8(factor.high, operand.high));
}

INLINE void neon_store(uint8_t *output, uint8x16_t sum) { vst1q_u8(output, sum); }

DEFINE_KERNEL(neon, , 8, 2)

#endif

/* ---- Python ----------------------------------------------------------------------------------------------------- */

enum { COEFFICIENTS, SOURCES, SOURCE_SLOTS, OUTPUTS, OUTPUT_SLOTS, BUFFERS };

/* Fill `task` from buffers of any size and content; 0, or -1 with ValueError set. */
static int prepare(struct task *task, const Py_buffer *buffers, Py_ssize_t length)
{
    const Py_buffer *sources = &buffers[SOURCES], *outputs = &buffers[OUTPUTS];
    const uint8_t *source_slots = buffers[SOURCE_SLOTS].buf, *output_slots = buffers[OUTPUT_SLOTS].buf;
    size_t columns = (size_t)buffers[SOURCE_SLOTS].len, rows = (size_t)buffers[OUTPUT_SLOTS].len;
    uint8_t is_output[MAX_SLOTS] = {0};

    if (length < 1 || length > PY_SSIZE_T_MAX / MAX_SLOTS) {
        PyErr_SetString(PyExc_ValueError, "symbol length is out of range");
        return -1;
    }
    if (columns > MAX_SLOTS || rows > MAX_SLOTS || (size_t)buffers[COEFFICIENTS].len != rows * columns) {
        PyErr_SetString(PyExc_ValueError, "coefficients are not one per output slot and source slot");
        return -1;
    }
    const uint8_t *source_start = sources->buf, *output_start = outputs->buf;
    int is_shared = source_start == output_start;
    if (!is_shared && source_start < output_start + outputs->len && output_start < source_start + sources->len) {
        PyErr_SetString(PyExc_ValueError, "sources and outputs overlap but do not start together");
        return -1;
    }
    for (size_t row = 0; row < rows; row++) {
        size_t slot = output_slots[row];
        if ((Py_ssize_t)(slot + 1) * length > outputs->len) {
            PyErr_SetString(PyExc_ValueError, "an output slot is beyond the buffer");
            return -1;
        }
        if (is_output[slot]++) {
            PyErr_SetString(PyExc_ValueError, "an output slot is repeated");
            return -1;
        }
        task->outputs[row] = (uint8_t *)outputs->buf + slot * (size_t)length;
    }
    for (size_t column = 0; column < columns; column++) {
        size_t slot = source_slots[column];
        if ((Py_ssize_t)(slot + 1) * length > sources->len) {
            PyErr_SetString(PyExc_ValueError, "a source slot is beyond the buffer");
            return -1;
        }
        if (is_shared && is_output[slot]) {
            PyErr_SetString(PyExc_ValueError, "a slot is both source and output");
            return -1;
        }
        task->sources[column] = source_start + slot * (size_t)length;
    }
    task->coefficients = buffers[COEFFICIENTS].buf;
    task->columns = columns;
    task->rows = rows;
    task->length = (size_t)length;
    return 0;
}

static PyObject *dot_product(PyObject *module, PyObject *const *args, Py_ssize_t count, kernel_function *kernel)
{
    static const int flags[BUFFERS] = {[OUTPUTS] = PyBUF_WRITABLE};
    Py_buffer buffers[BUFFERS];
    struct task task;
    PyObject *result = NULL;
    int held = 0;

    if (count != BUFFERS + 1)
        return PyErr_Format(PyExc_TypeError, "dot_product takes %d arguments, not %zd", BUFFERS + 1, count);
    Py_ssize_t length = PyNumber_AsSsize_t(args[BUFFERS], PyExc_ValueError);
    if (length == -1 && PyErr_Occurred())
        return NULL;
    for (; held < BUFFERS; held++)
        if (PyObject_GetBuffer(args[held], &buffers[held], flags[held]) < 0)
            goto release;
    if (prepare(&task, buffers, length) < 0)
        goto release;
    task.tables = PyModule_GetState(module);
    if (task.columns * task.length < GIL_RELEASE_THRESHOLD) {
        kernel(&task);
    } else {
        Py_BEGIN_ALLOW_THREADS
        kernel(&task);
        Py_END_ALLOW_THREADS
    }
    result = Py_NewRef(Py_None);
release:
    while (held > 0)
        PyBuffer_Release(&buffers[--held]);
    return result;
}

#define EXPORT(NAME)                                                                                                  \
    static PyObject *NAME##_dot_product(PyObject *module, PyObject *const *args, Py_ssize_t count)                    \
    {                                                                                                                 \
        return dot_product(module, args, count, NAME);                                                                \
    }                                                                                                                 \
    static PyMethodDef NAME##_method = {"dot_product", (PyCFunction)(void (*)(void))NAME##_dot_product,               \
                                        METH_FASTCALL, "Dot products over GF(2^8) by the kernel " #NAME "."};

/* Put one built kernel into the answer: a callable, or None where this CPU cannot run it. */
static int add_kernel(PyObject *module, PyObject *kernels, const char *name, PyMethodDef *method, int can_run)
{
    PyObject *function = can_run ? PyCFunction_NewEx(method, module, NULL) : Py_NewRef(Py_None);
    if (function == NULL)
        return -1;
    int status = PyDict_SetItemString(kernels, name, function);
    Py_DECREF(function);
    return status;
}

EXPORT(scalar)
#ifdef WITH_X86
EXPORT(ssse3)
EXPORT(avx2)
EXPORT(gfni256)
EXPORT(gfni512)
#endif
#ifdef WITH_NEON
EXPORT(neon)
#endif

static PyObject *built_kernels(PyObject *module, PyObject *Py_UNUSED(unused))
{
    PyObject *kernels = PyDict_New();
    if (kernels == NULL || add_kernel(module, kernels, "scalar", &scalar_method, 1) < 0)
        goto fail;
#ifdef WITH_X86
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2"), gfni = __builtin_cpu_supports("gfni");
    int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
    if (add_kernel(module, kernels, "ssse3", &ssse3_method, __builtin_cpu_supports("ssse3")) < 0 ||
        add_kernel(module, kernels, "avx2", &avx2_method, avx2) < 0 ||
        add_kernel(module, kernels, "gfni256", &gfni256_method, gfni && avx2) < 0 ||
        add_kernel(module, kernels, "gfni512", &gfni512_method, gfni && avx512) < 0)
        goto fail;
#endif
#ifdef WITH_NEON
    if (add_kernel(module, kernels, "neon", &neon_method, 1) < 0) /* part of every AArch64 */
        goto fail;
#endif
    return kernels;
fail:
    Py_XDECREF(kernels);
    return NULL;
}

static int make_tables(PyObject *module)
{
    struct tables *tables = PyModule_GetState(module);
    for (int c = 0; c < 256; c++) {
        uint8_t *products = tables->products[c];
        unsigned power = (unsigned)c; /* c times x^bit */
        products[0] = 0;
        tables->matrices[c] = 0;
        for (int bit = 0; bit < 8; bit++) {
            for (int low = 0; low < 1 << bit; low++)
                products[(1 << bit) + low] = products[low] ^ (uint8_t)power;
            for (int row = 0; row < 8; row++) /* the instruction takes the row of the highest bit first in memory */
                tables->matrices[c] |= (uint64_t)(power >> row & 1) << (8 * (7 - row) + bit);
            power = power << 1 ^ (power >> 7) * POLYNOMIAL;
        }
        for (int nibble = 0; nibble < 16; nibble++) {
            tables->nibbles[c][nibble] = products[nibble];
            tables->nibbles[c][16 + nibble] = products[nibble << 4];
        }
    }
    return 0;
}

static PyMethodDef methods[] = {
    {"built_kernels", built_kernels, METH_NOARGS, "Each built kernel's dot_product by name; None where this CPU lacks it."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_exec, make_tables}, {0, NULL}};

static PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_gf256",
    .m_doc = "Dot products over GF(2^8) in C; use protocol.gf256.",
    .m_size = sizeof(struct tables),
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__gf256(void) { return PyModuleDef_Init(&module_definition); }
