#include "simulate/plan.h"

#include <array>

namespace postern::simulate {
namespace {

constexpr std::array kTampers{Tamper::kNone,       Tamper::kAmount, Tamper::kSignature,
                              Tamper::kWrongKey,   Tamper::kStale,  Tamper::kOtherApp,
                              Tamper::kWrongAmount};

}  // namespace

std::string_view name(Tamper tamper) {
  switch (tamper) {
    case Tamper::kNone:
      return "none";
    case Tamper::kAmount:
      return "amount";
    case Tamper::kSignature:
      return "signature";
    case Tamper::kWrongKey:
      return "wrong_key";
    case Tamper::kStale:
      return "stale";
    case Tamper::kOtherApp:
      return "other_app";
    case Tamper::kWrongAmount:
      return "wrong_amount";
  }
  return "";
}

Result<Tamper> parse_tamper(std::string_view text) {
  std::string known;
  for (const Tamper tamper : kTampers) {
    if (name(tamper) == text) return tamper;
    known.append(known.empty() ? "" : ", ").append(name(tamper));
  }
  return rejected("tamper_unknown", "write one of " + known);
}

bool must_be_refused(Tamper tamper) {
  switch (tamper) {
    case Tamper::kNone:
    case Tamper::kWrongAmount:
      return false;
    case Tamper::kAmount:
    case Tamper::kSignature:
    case Tamper::kWrongKey:
    case Tamper::kStale:
    case Tamper::kOtherApp:
      return true;
  }
  return true;
}

}  // namespace postern::simulate
