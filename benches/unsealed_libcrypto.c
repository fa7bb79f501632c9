/* What _seal.c asks of libcrypto, without a cipher: symbols are copied, tags are zeros and always match.
 *
 * For benches/unsealed.py alone, which builds it on the spot; nothing that is installed can load it.
 */

#include <stddef.h>
#include <string.h>

enum { GET_TAG = 0x10, TAG_LENGTH = 16 };

static char nothing;

const char *OpenSSL_version(int which)
{
    (void)which;
    return "unsealed";
}

const void *EVP_aes_256_gcm(void) { return &nothing; }

void *EVP_CIPHER_CTX_new(void) { return &nothing; }

void EVP_CIPHER_CTX_free(void *context) { (void)context; }

int EVP_CIPHER_CTX_ctrl(void *context, int command, int length, void *tag)
{
    (void)context;
    (void)length;
    if (command == GET_TAG)
        memset(tag, 0, TAG_LENGTH);
    return 1;
}

int EVP_CipherInit_ex(void *context, const void *cipher, void *engine, const unsigned char *key,
                      const unsigned char *nonce, int direction)
{
    (void)context, (void)cipher, (void)engine, (void)key, (void)nonce, (void)direction;
    return 1;
}

int EVP_CipherUpdate(void *context, unsigned char *out, int *out_length, const unsigned char *in, int length)
{
    (void)context;
    if (out != NULL) /* else associated data */
        memmove(out, in, (size_t)length);
    *out_length = length;
    return 1;
}

int EVP_CipherFinal_ex(void *context, unsigned char *out, int *out_length)
{
    (void)context, (void)out;
    *out_length = 0;
    return 1;
}
