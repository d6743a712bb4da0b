// PEM (RFC 7468): base64 between "-----BEGIN label-----" and "-----END label-----".

#include "crypto/pem.h"

#include <openssl/pem.h>

#include "crypto/openssl_ptr.h"

namespace postern::crypto {
namespace {

constexpr std::size_t kPemBytesMax = std::size_t{1} << 20;

enum class Step : unsigned char { kBlock, kEnd, kBroken };

[[nodiscard]] Step read_block(BIO* in, PemBlock& block) {
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  if (PEM_read_bio(in, &name, &header, &data, &size) != 1) {
    const unsigned long error = ERR_peek_last_error();
    const bool end =
        ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return end ? Step::kEnd : Step::kBroken;
  }
  const bool plain = header[0] == '\0' && size > 0;
  if (plain) {
    block.label = name;
    block.der = Secret(to_text(data, static_cast<std::size_t>(size)));
  }
  OPENSSL_free(name);
  OPENSSL_free(header);
  OPENSSL_clear_free(data, static_cast<std::size_t>(size));
  return plain ? Step::kBlock : Step::kBroken;
}

}  // namespace

bool looks_like_pem(std::string_view text) {
  return text.find("-----BEGIN ") != std::string_view::npos;
}

std::optional<std::vector<PemBlock>> read_pem(std::string_view text) {
  if (text.size() > kPemBytesMax) return std::nullopt;
  const ErrorQueueGuard errors;
  const BioPtr in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!in) return std::nullopt;
  std::vector<PemBlock> blocks;
  while (true) {
    PemBlock block;
    switch (read_block(in.get(), block)) {
      case Step::kBlock:
        blocks.push_back(std::move(block));
        break;
      case Step::kEnd:
        if (blocks.empty()) return std::nullopt;
        return blocks;
      case Step::kBroken:
        return std::nullopt;
    }
  }
}

std::string write_pem(const char* label, std::string_view der) {
  const ErrorQueueGuard errors;
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out ||
      PEM_write_bio(out.get(), label, "", as_bytes(der), static_cast<long>(der.size())) <= 0) {
    return {};
  }
  return std::string(written_to(out.get()));
}

}  // namespace postern::crypto
