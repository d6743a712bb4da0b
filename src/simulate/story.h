#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "simulate/sender.h"
#include "simulate/shop.h"
#include "simulate/signer.h"

namespace postern::simulate {

/// What the story is played with; all of it outlives the play.
struct Stage {
  const Signer& alipay;
  const Signer& wechat;  ///< v3
  const Signer& wechat_v2;
  Shop& shop;
  Sender::Options callbacks;  ///< where the daemon takes callbacks
  Sender::Pause pause;
  const Clock& clock;
  Random& random;
};

/// One thing that was done to an order, and what came of it.
struct Step {
  std::string order;
  std::string did;        ///< "alipay says: paid 88.88 CNY"
  std::string answered;   ///< "200 accepted"
  std::string order_now;  ///< "paid, refunded 20.00; incident amount_mismatch"
};

/// Is told the story while it happens.
class Narrator {
 public:
  virtual ~Narrator() = default;
  virtual void scene(std::string_view title) = 0;
  virtual void step(const Step& step) = 0;
};

/// How one order ended.
struct Ending {
  std::string order;
  std::string scene;
  OrderView view;
  std::vector<std::string> surprises;  ///< what is not as it should be; empty: all is well
};

/// Plays orders through all that happens to payments: plain, repeated, early, refunded, forged, of
/// another sum, for another merchant, combined, late, and paid twice. Every answer and every final
/// state is compared with what it has to be.
///
/// The store must not hold orders of an earlier play. Takes a second or two.
/// @errors as Shop, as the signers'; the play ends there
[[nodiscard]] Result<std::vector<Ending>> play_story(const Stage& stage, Narrator& narrator);

}  // namespace postern::simulate
