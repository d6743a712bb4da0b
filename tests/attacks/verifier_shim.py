"""A library in front of OpenSSL whose functions fail when told to, and that counts comparisons."""
import os
import pathlib
import subprocess

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_order(char* order, size_t size) {
  const char* path = getenv("POSTERN_SHIM_ORDER");
  int file = path ? open(path, O_RDONLY) : -1;
  if (file < 0) return 0;
  ssize_t got = read(file, order, size - 1);
  close(file);
  order[got < 0 ? 0 : got] = 0;
  return got > 0;
}
static void note(const char* text) {
  const char* path = getenv("POSTERN_SHIM_CALLS");
  int file = path ? open(path, O_WRONLY | O_APPEND | O_CREAT, 0600) : -1;
  if (file < 0) return;
  if (write(file, text, strlen(text)) < 0) abort();
  close(file);
}
/* Whether the function is to fail, and what it says then. */
static int fails(const char* name, int* answer) {
  char order[64];
  size_t length = strlen(name);
  if (!read_order(order, sizeof order) || strncmp(order, name, length) != 0 || order[length] != ' ')
    return 0;
  *answer = atoi(order + length + 1);
  note("call\n");
  return 1;
}
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int EVP_PKEY_verify(void* c, const unsigned char* s, size_t n, const unsigned char* t, size_t m) {
  int answer;
  return fails("verify", &answer) ? answer : NEXT(EVP_PKEY_verify)(c, s, n, t, m);
}
int EVP_DecryptFinal_ex(void* c, unsigned char* out, int* size) {
  int answer;
  return fails("decrypt_final", &answer) ? answer : NEXT(EVP_DecryptFinal_ex)(c, out, size);
}
int EVP_CipherFinal_ex(void* c, unsigned char* out, int* size) {
  int answer;
  return fails("decrypt_final", &answer) ? answer : NEXT(EVP_CipherFinal_ex)(c, out, size);
}
int EVP_DecryptUpdate(void* c, unsigned char* out, int* size, const unsigned char* in, int n) {
  int answer;
  return fails("decrypt_update", &answer) ? answer : NEXT(EVP_DecryptUpdate)(c, out, size, in, n);
}
int EVP_CipherUpdate(void* c, unsigned char* out, int* size, const unsigned char* in, int n) {
  int answer;
  return fails("decrypt_update", &answer) ? answer : NEXT(EVP_CipherUpdate)(c, out, size, in, n);
}
int EVP_MAC_final(void* c, unsigned char* out, size_t* written, size_t size) {
  int answer;
  return fails("mac", &answer) ? answer : NEXT(EVP_MAC_final)(c, out, written, size);
}
int CRYPTO_memcmp(const void* a, const void* b, size_t size) {
  char order[64], line[64];
  if (read_order(order, sizeof order) && strncmp(order, "compare", 7) == 0) {
    snprintf(line, sizeof line, "compare %zu\n", size);
    note(line);
  }
  int answer;
  return fails("compare_answer", &answer) ? answer : NEXT(CRYPTO_memcmp)(a, b, size);
}
"""


class Shim:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.order, self.journal, library = (folder / name for name in
                                             ("order", "calls", "shim.so"))
        (folder / "shim.c").write_text(SOURCE)
        subprocess.run(["clang-19", "-shared", "-fPIC", "-O1", "-o", library, folder / "shim.c"],
                       check=True, capture_output=True)
        self.environment = {"LD_PRELOAD": str(library), "POSTERN_SHIM_ORDER": str(self.order),
                            "POSTERN_SHIM_CALLS": str(self.journal)}
        self.inject("")

    def inject(self, fault):
        """From the next call on, "FUNCTION ANSWER"; empty: everything works."""
        replaced = self.order.with_suffix(".new")
        replaced.write_text(fault)
        os.replace(replaced, self.order)
        self.journal.unlink(missing_ok=True)

    def lines(self):
        return self.journal.read_text().splitlines() if self.journal.exists() else []

    def calls(self):
        return len(self.lines())

    def compared(self):
        """(how many comparisons, how many bytes in all) since the last `inject`."""
        sizes = [int(line.split()[1]) for line in self.lines()]
        return len(sizes), sum(sizes)
