/* The libcrypto kernel of protocol.seal: a batch of datagrams sealed or opened in one call, the GIL released.
 *
 * There is no AES here. OpenSSL's libcrypto is opened at run time and asked for EVP AES-256-GCM by the prototypes
 * below (OpenSSL 1.1 and 3, manual page EVP_EncryptInit(3)); without it LIBCRYPTO is None and protocol.seal uses the
 * pure kernel. That one (pure_seal.py) is the reference: same names, arguments, bytes and counts. What protocol.wire
 * and protocol.blocks define is repeated in the constants below; the tests run one class over both kernels.
 *
 * Everything read here comes from the network. No length, K, esi or slot is used before it has been compared with the
 * buffers at hand, and nothing but the buffers of the caller is written.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

enum { HEADER_LENGTH = 18, TAG_LENGTH = 16, OVERHEAD = HEADER_LENGTH + TAG_LENGTH, KEY_LENGTH = 32, NONCE_LENGTH = 12 };
enum { TOI_AT = 3, TSI_AT = 4, SBN_AT = 12, K_AT = 16, ESI_AT = 17 }; /* protocol.wire */
enum { MAX_TOI = 1, MAX_SOURCE_SYMBOLS = 191, MAX_REPAIR_SYMBOLS = 64 };
enum { REPAIR_COUNT = 255, SYMBOL_COUNT = 256, REPAIR_ESIS = 257, LEDGER_LENGTH = 321 }; /* protocol.blocks */
enum { SEGMENT_SHIFT = 15 };
enum { OPENED, DUPLICATE, UNWANTED, REJECTED, FOREIGN, OUTCOMES }; /* protocol.seal.BatchCounts */

#define GIL_RELEASE_THRESHOLD 16384 /* [bytes] about 7 us of AES; a busy GIL may take longer to come back */

/* The part of <openssl/evp.h> that is used; its structures stay opaque. */
typedef struct evp_cipher EVP_CIPHER;
typedef struct evp_cipher_ctx EVP_CIPHER_CTX;
enum { EVP_CTRL_GET_TAG = 0x10, EVP_CTRL_SET_TAG = 0x11, OPENSSL_VERSION_TEXT = 0 };

struct libcrypto {
    const char *(*OpenSSL_version)(int);
    const EVP_CIPHER *(*EVP_aes_256_gcm)(void);
    EVP_CIPHER_CTX *(*EVP_CIPHER_CTX_new)(void);
    void (*EVP_CIPHER_CTX_free)(EVP_CIPHER_CTX *);
    int (*EVP_CIPHER_CTX_ctrl)(EVP_CIPHER_CTX *, int, int, void *);
    int (*EVP_CipherInit_ex)(EVP_CIPHER_CTX *, const EVP_CIPHER *, void *, const uint8_t *, const uint8_t *, int);
    int (*EVP_CipherUpdate)(EVP_CIPHER_CTX *, uint8_t *, int *, const uint8_t *, int);
    int (*EVP_CipherFinal_ex)(EVP_CIPHER_CTX *, uint8_t *, int *);
    const EVP_CIPHER *cipher;
};

enum direction { OPEN = 0, SEAL = 1 }; /* as EVP_CipherInit_ex takes it */

/* A cipher with the key of a segment; a nonce is set per symbol. NULL with an exception if libcrypto refuses. */
static EVP_CIPHER_CTX *keyed_cipher(const struct libcrypto *crypto, const uint8_t *key, enum direction direction)
{
    if (crypto->cipher == NULL) {
        PyErr_SetString(PyExc_ValueError, "libcrypto was not found");
        return NULL;
    }
    EVP_CIPHER_CTX *cipher = crypto->EVP_CIPHER_CTX_new();
    if (cipher != NULL && crypto->EVP_CipherInit_ex(cipher, crypto->cipher, NULL, key, NULL, direction) == 1)
        return cipher;
    if (cipher != NULL)
        crypto->EVP_CIPHER_CTX_free(cipher);
    PyErr_SetString(PyExc_ValueError, "libcrypto refuses AES-256-GCM");
    return NULL;
}

/* Start on the symbol that the header names; the header is authenticated with it. */
static int begin_symbol(const struct libcrypto *crypto, EVP_CIPHER_CTX *cipher, const uint8_t *header)
{
    uint8_t nonce[NONCE_LENGTH] = {0};
    int length;
    nonce[0] = header[TOI_AT];
    memcpy(nonce + 4, header + SBN_AT, 4);
    nonce[11] = header[ESI_AT];
    return crypto->EVP_CipherInit_ex(cipher, NULL, NULL, NULL, nonce, -1) == 1 &&
           crypto->EVP_CipherUpdate(cipher, NULL, &length, header, HEADER_LENGTH) == 1;
}

/* Write ciphertext and tag behind the header that begins the datagram. */
static int seal_symbol(const struct libcrypto *crypto, EVP_CIPHER_CTX *cipher, uint8_t *datagram, const uint8_t *symbol,
                       int symbol_length)
{
    uint8_t *ciphertext = datagram + HEADER_LENGTH, *tag = ciphertext + symbol_length;
    int length;
    return begin_symbol(crypto, cipher, datagram) &&
           crypto->EVP_CipherUpdate(cipher, ciphertext, &length, symbol, symbol_length) == 1 &&
           crypto->EVP_CipherFinal_ex(cipher, tag, &length) == 1 &&
           crypto->EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GET_TAG, TAG_LENGTH, tag) == 1;
}

/* 1 if the datagram is authentic; else what lies in the slot is worthless. */
static int open_symbol(const struct libcrypto *crypto, EVP_CIPHER_CTX *cipher, const uint8_t *datagram, uint8_t *slot,
                       int symbol_length)
{
    const uint8_t *ciphertext = datagram + HEADER_LENGTH;
    uint8_t tag[TAG_LENGTH], unused[TAG_LENGTH];
    int length;
    memcpy(tag, ciphertext + symbol_length, TAG_LENGTH);
    return begin_symbol(crypto, cipher, datagram) &&
           crypto->EVP_CipherUpdate(cipher, slot, &length, ciphertext, symbol_length) == 1 &&
           crypto->EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_SET_TAG, TAG_LENGTH, tag) == 1 &&
           crypto->EVP_CipherFinal_ex(cipher, unused, &length) == 1;
}

static int has_length(const Py_buffer *buffer, Py_ssize_t length, const char *what)
{
    if (buffer->len >= length)
        return 1;
    PyErr_Format(PyExc_ValueError, "%s: %zd bytes where %zd are needed", what, buffer->len, length);
    return 0;
}

struct sealing {
    const struct libcrypto *crypto;
    EVP_CIPHER_CTX *cipher;
    const uint8_t *header, *symbols, *esis;
    Py_ssize_t count, symbol_length, last_symbol_length;
    uint8_t *out;
};

static Py_ssize_t length_of(const struct sealing *task, Py_ssize_t index)
{
    int is_last = task->esis[index] + 1 == task->header[K_AT];
    return is_last ? task->last_symbol_length : task->symbol_length;
}

/* The bytes written, or -1. */
static Py_ssize_t seal_all(const struct sealing *task)
{
    uint8_t *datagram = task->out;
    for (Py_ssize_t index = 0; index < task->count; index++) {
        Py_ssize_t length = length_of(task, index);
        memcpy(datagram, task->header, ESI_AT);
        datagram[ESI_AT] = task->esis[index];
        const uint8_t *symbol = task->symbols + index * task->symbol_length;
        if (!seal_symbol(task->crypto, task->cipher, datagram, symbol, (int)length))
            return -1;
        datagram += length + OVERHEAD;
    }
    return datagram - task->out;
}

static PyObject *seal_symbols(PyObject *module, PyObject *args)
{
    struct sealing task = {.crypto = PyModule_GetState(module)};
    Py_buffer key, header, out, symbols, esis;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*y*w*y*y*nn:seal_symbols", &key, &header, &out, &symbols, &esis, &task.symbol_length,
                          &task.last_symbol_length))
        return NULL;
    task.header = header.buf, task.symbols = symbols.buf, task.out = out.buf;
    task.esis = esis.buf, task.count = esis.len;
    if (task.symbol_length < 1 || task.symbol_length > UINT16_MAX || task.last_symbol_length < 1 ||
        task.last_symbol_length > task.symbol_length || task.count > UINT16_MAX) {
        PyErr_SetString(PyExc_ValueError, "a symbol length is out of range");
        goto release;
    }
    if (!has_length(&key, KEY_LENGTH, "key") || !has_length(&header, HEADER_LENGTH, "header"))
        goto release;
    Py_ssize_t symbol_bytes = 0, datagram_bytes = 0;
    for (Py_ssize_t index = 0; index < task.count; index++) {
        symbol_bytes = index * task.symbol_length + length_of(&task, index);
        datagram_bytes += length_of(&task, index) + OVERHEAD;
    }
    if (!has_length(&symbols, symbol_bytes, "symbols") || !has_length(&out, datagram_bytes, "datagrams"))
        goto release;
    task.cipher = keyed_cipher(task.crypto, key.buf, SEAL);
    if (task.cipher == NULL)
        goto release;
    Py_ssize_t written;
    Py_BEGIN_ALLOW_THREADS
    written = seal_all(&task);
    Py_END_ALLOW_THREADS
    task.crypto->EVP_CIPHER_CTX_free(task.cipher);
    if (written < 0)
        PyErr_SetString(PyExc_ValueError, "libcrypto failed to seal");
    else
        result = PyLong_FromSsize_t(written);
release:
    PyBuffer_Release(&key);
    PyBuffer_Release(&header);
    PyBuffer_Release(&out);
    PyBuffer_Release(&symbols);
    PyBuffer_Release(&esis);
    return result;
}

/* A batch on its way through the kernel. */
struct opening {
    const struct libcrypto *crypto;
    PyObject *segment_key, *find_block;
    const uint8_t *session_header, *batch;
    Py_ssize_t batch_length, datagram_length, symbol_length;
    Py_ssize_t counts[OUTCOMES], opened_bytes;
};

/* The block of a run of datagrams; without a cipher it is not wanted. */
struct block {
    const uint8_t *name; /* a header of the run: toi, sbn and K count */
    EVP_CIPHER_CTX *cipher;
    Py_buffer symbols, ledger;
};

/* As protocol.wire.decode_header, the session, and the symbol's length. */
static int is_own(const struct opening *task, const uint8_t *header, Py_ssize_t length)
{
    Py_ssize_t shortfall = task->symbol_length + OVERHEAD - length;
    return length > OVERHEAD && memcmp(header, task->session_header, TOI_AT) == 0 && header[TOI_AT] <= MAX_TOI &&
           memcmp(header + TSI_AT, task->session_header + TSI_AT, SBN_AT - TSI_AT) == 0 && header[K_AT] >= 1 &&
           header[K_AT] <= MAX_SOURCE_SYMBOLS && header[ESI_AT] < header[K_AT] + MAX_REPAIR_SYMBOLS &&
           (shortfall == 0 || (shortfall > 0 && header[ESI_AT] + 1 == header[K_AT]));
}

static int is_same_block(const uint8_t *header, const uint8_t *other)
{
    return header[TOI_AT] == other[TOI_AT] && memcmp(header + SBN_AT, other + SBN_AT, ESI_AT - SBN_AT) == 0;
}

/* Open one datagram that is_own into its slot; the ledger changes only when the tag matched. */
static int open_datagram(struct opening *task, struct block *block, const uint8_t *datagram, Py_ssize_t length)
{
    uint8_t *ledger = block->ledger.buf;
    unsigned k = datagram[K_AT], esi = datagram[ESI_AT];
    if (block->cipher == NULL)
        return UNWANTED;
    if (ledger[esi])
        return DUPLICATE;
    unsigned repair_count = ledger[REPAIR_COUNT], is_repair = esi >= k;
    Py_ssize_t slot = is_repair ? k + repair_count : esi;
    if (ledger[SYMBOL_COUNT] >= k || (is_repair && repair_count >= MAX_REPAIR_SYMBOLS) ||
        (slot + 1) * task->symbol_length > block->symbols.len)
        return UNWANTED;
    uint8_t *symbol = (uint8_t *)block->symbols.buf + slot * task->symbol_length;
    Py_ssize_t symbol_length = length - OVERHEAD;
    if (!open_symbol(task->crypto, block->cipher, datagram, symbol, (int)symbol_length))
        return REJECTED;
    memset(symbol + symbol_length, 0, (size_t)(task->symbol_length - symbol_length));
    if (is_repair) {
        ledger[REPAIR_ESIS + repair_count] = (uint8_t)esi;
        ledger[REPAIR_COUNT]++;
    }
    ledger[esi] = 1;
    ledger[SYMBOL_COUNT]++;
    task->opened_bytes += symbol_length;
    return OPENED;
}

/* Open from this position on while the datagrams are of this block (or foreign); the position behind them. */
static Py_ssize_t open_run(struct opening *task, struct block *block, Py_ssize_t position)
{
    while (position < task->batch_length) {
        const uint8_t *datagram = task->batch + position;
        Py_ssize_t left = task->batch_length - position;
        Py_ssize_t length = left < task->datagram_length ? left : task->datagram_length;
        int outcome = FOREIGN;
        if (is_own(task, datagram, length)) {
            if (block->name == NULL || !is_same_block(datagram, block->name))
                break;
            outcome = open_datagram(task, block, datagram, length);
        }
        task->counts[outcome]++;
        position += length;
    }
    return position;
}

/* Fill block with what find_block says of this header's block; an exception gives -1. */
static int take_block(struct opening *task, struct block *block, const uint8_t *header)
{
    unsigned toi = header[TOI_AT], k = header[K_AT];
    unsigned sbn = (unsigned)header[12] << 24 | (unsigned)header[13] << 16 | (unsigned)header[14] << 8 | header[15];
    int status = -1;
    PyObject *symbols, *ledger, *key = NULL;
    PyObject *found = PyObject_CallFunction(task->find_block, "III", toi, sbn, k);
    if (found == NULL)
        return -1;
    block->name = header;
    if (found == Py_None) {
        status = 0;
        goto release;
    }
    if (!PyArg_ParseTuple(found, "OO;find_block gives symbols and ledger, or None", &symbols, &ledger) ||
        PyObject_GetBuffer(symbols, &block->symbols, PyBUF_WRITABLE) < 0 ||
        PyObject_GetBuffer(ledger, &block->ledger, PyBUF_WRITABLE) < 0 ||
        !has_length(&block->ledger, LEDGER_LENGTH, "ledger"))
        goto release;
    key = PyObject_CallFunction(task->segment_key, "II", toi, sbn >> SEGMENT_SHIFT);
    char *key_bytes;
    Py_ssize_t key_length;
    if (key == NULL || PyBytes_AsStringAndSize(key, &key_bytes, &key_length) < 0)
        goto release;
    if (key_length != KEY_LENGTH) {
        PyErr_SetString(PyExc_ValueError, "a key is 32 bytes");
        goto release;
    }
    block->cipher = keyed_cipher(task->crypto, (const uint8_t *)key_bytes, OPEN);
    status = block->cipher == NULL ? -1 : 0;
release:
    Py_XDECREF(key);
    Py_DECREF(found);
    return status;
}

static void leave_block(const struct opening *task, struct block *block)
{
    if (block->cipher != NULL)
        task->crypto->EVP_CIPHER_CTX_free(block->cipher);
    PyBuffer_Release(&block->symbols); /* without effect where none was taken */
    PyBuffer_Release(&block->ledger);
}

/* Run after run; -1 with an exception. */
static int open_all(struct opening *task)
{
    struct block nothing = {0};
    Py_ssize_t position = open_run(task, &nothing, 0);
    while (position < task->batch_length) {
        struct block block = {0};
        int status = take_block(task, &block, task->batch + position);
        if (status == 0) {
            if (task->batch_length - position < GIL_RELEASE_THRESHOLD) {
                position = open_run(task, &block, position);
            } else {
                Py_BEGIN_ALLOW_THREADS
                position = open_run(task, &block, position);
                Py_END_ALLOW_THREADS
            }
        }
        leave_block(task, &block);
        if (status < 0)
            return -1;
    }
    return 0;
}

static PyObject *open_batch(PyObject *module, PyObject *args)
{
    struct opening task = {.crypto = PyModule_GetState(module)};
    Py_buffer session_header, batch;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "Oy*y*nnO:open_batch", &task.segment_key, &session_header, &batch,
                          &task.datagram_length, &task.symbol_length, &task.find_block))
        return NULL;
    task.session_header = session_header.buf, task.batch = batch.buf, task.batch_length = batch.len;
    if (task.datagram_length < 1 || task.symbol_length < 1 || task.symbol_length > UINT16_MAX)
        PyErr_SetString(PyExc_ValueError, "the datagram length or the symbol length is out of range");
    else if (has_length(&session_header, HEADER_LENGTH, "session header") && open_all(&task) == 0)
        result = Py_BuildValue("(nnnnnn)", task.counts[OPENED], task.counts[DUPLICATE], task.counts[UNWANTED],
                               task.counts[REJECTED], task.counts[FOREIGN], task.opened_bytes);
    PyBuffer_Release(&session_header);
    PyBuffer_Release(&batch);
    return result;
}

/* Find the functions by name; 0 if this library has not all of them. */
static int find_functions(struct libcrypto *crypto, void *library)
{
    const struct {
        const char *name;
        void *where;
    } functions[] = {
#define FUNCTION(NAME) {#NAME, &crypto->NAME}
        FUNCTION(OpenSSL_version),     FUNCTION(EVP_aes_256_gcm),   FUNCTION(EVP_CIPHER_CTX_new),
        FUNCTION(EVP_CIPHER_CTX_free), FUNCTION(EVP_CIPHER_CTX_ctrl), FUNCTION(EVP_CipherInit_ex),
        FUNCTION(EVP_CipherUpdate),    FUNCTION(EVP_CipherFinal_ex),
#undef FUNCTION
    };
    for (size_t index = 0; index < sizeof functions / sizeof *functions; index++) {
        void *function = dlsym(library, functions[index].name);
        if (function == NULL)
            return 0;
        memcpy(functions[index].where, &function, sizeof function); /* POSIX dlsym: object to function pointer */
    }
    return 1;
}

static int load_libcrypto(PyObject *module)
{
    static const char *const names[] = {"libcrypto.so.3", "libcrypto.so.1.1"};
    struct libcrypto *crypto = PyModule_GetState(module);
    for (size_t index = 0; index < sizeof names / sizeof *names && crypto->cipher == NULL; index++) {
        void *library = dlopen(names[index], RTLD_NOW | RTLD_LOCAL);
        if (library == NULL)
            continue;
        if (find_functions(crypto, library)) {
            /* Fetched once, else OpenSSL 3 looks the algorithm up by its name for every batch (crypto(7)). */
            const EVP_CIPHER *(*fetch)(void *, const char *, const char *) = NULL;
            void *function = dlsym(library, "EVP_CIPHER_fetch");
            memcpy(&fetch, &function, sizeof fetch);
            crypto->cipher = fetch != NULL ? fetch(NULL, "AES-256-GCM", NULL) : crypto->EVP_aes_256_gcm();
        }
        if (crypto->cipher == NULL)
            dlclose(library);
    }
    if (crypto->cipher == NULL)
        return PyModule_AddObjectRef(module, "LIBCRYPTO", Py_None);
    return PyModule_AddStringConstant(module, "LIBCRYPTO", crypto->OpenSSL_version(OPENSSL_VERSION_TEXT));
}

static PyMethodDef methods[] = {
    {"seal_symbols", seal_symbols, METH_VARARGS, "Seal symbols of one block; see protocol.seal."},
    {"open_batch", open_batch, METH_VARARGS, "Open a batch of datagrams; see protocol.seal."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_exec, load_libcrypto}, {0, NULL}};

static PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_seal",
    .m_doc = "AES-256-GCM of whole batches by OpenSSL's libcrypto; use protocol.seal.",
    .m_size = sizeof(struct libcrypto),
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__seal(void) { return PyModuleDef_Init(&module_definition); }
