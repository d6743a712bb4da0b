#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include "delivery/sink.h"
#include "tests/simulation/weather.h"
#include "tests/simulation/witness.h"

namespace postern::simulation {

/// The other side of one endpoint, and the network before it. It outlives the processes: what it
/// has taken it keeps, and what is on its way when a process dies still arrives.
class Receiver {
 public:
  /// Lifetime: everything outlives the receiver, and the receiver the world's events.
  Receiver(std::size_t endpoint, const EndpointWeather& weather, World& world, Dice& dice,
           Witness& witness)
      : endpoint_(endpoint), weather_(weather), world_(world), dice_(dice), witness_(witness) {}

  /// The way out of one process. @param crashed  whether that process is dead: then nobody hears
  [[nodiscard]] std::unique_ptr<delivery::Sink> make_sink(std::shared_ptr<const bool> crashed);

  /// From now on it takes everything at once.
  void calm() { is_calm_ = true; }

 private:
  class Way;
  /// What becomes of one try.
  struct Fate {
    bool arrives = true;
    std::chrono::milliseconds arrival{0}, answered{0};
    delivery::Answer answer;
  };
  [[nodiscard]] Fate draw_fate();
  [[nodiscard]] bool is_down() const;

  const std::size_t endpoint_;
  const EndpointWeather& weather_;
  World& world_;
  Dice& dice_;
  Witness& witness_;
  bool is_calm_ = false;
};

}  // namespace postern::simulation
