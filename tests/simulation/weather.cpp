#include "tests/simulation/weather.h"

namespace postern::simulation {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

[[nodiscard]] Outage draw_outage(const Weather& weather, Dice& dice) {
  const bool is_long = weather.pace == Weather::Pace::kDays;
  const milliseconds from = dice.within(is_long ? milliseconds(hours(1)) : seconds(10));
  return {from, from + (is_long ? milliseconds(hours(24)) : seconds(40))};
}

[[nodiscard]] EndpointWeather draw_endpoint(const Weather& weather, Dice& dice) {
  EndpointWeather endpoint{
      .concurrency = dice.one_of<std::size_t>({1, 2, 8}),
      // The sinks' own deadline is 25 s; a lease is 30 s.
      .answer_max = dice.one_of<milliseconds>({milliseconds(20), seconds(2), seconds(25)})};
  switch (dice.below(4)) {
    case 0:
      return endpoint;  // good
    case 1:
      endpoint.outage = draw_outage(weather, dice);
      return endpoint;  // good but for that
    case 2:
      if (dice.one_in(2)) endpoint.outage = draw_outage(weather, dice);
      break;
    default:
      break;
  }
  endpoint.refused = dice.one_of<std::uint64_t>({0, 2, 5});
  endpoint.lost = dice.one_of<std::uint64_t>({0, 2, 5});
  endpoint.unavailable = dice.one_of<std::uint64_t>({0, 2, 5});
  endpoint.bad_request = dice.one_of<std::uint64_t>({0, 0, 1, 4});
  endpoint.gone = dice.one_of<std::uint64_t>({0, 0, 0, 3});
  return endpoint;
}

}  // namespace

Weather Weather::draw(Dice& dice) {
  Weather weather{.copy = dice.one_of<std::uint64_t>({0, 2, 3, 10}),
                  .reply_lost = dice.one_of<std::uint64_t>({0, 3, 10}),
                  .refused = dice.one_of<std::uint64_t>({0, 4, 15}),
                  .unknown = dice.one_of<std::uint64_t>({0, 4, 15}),
                  .crash = dice.one_of<std::uint64_t>({0, 5, 20}),
                  .batch_max = dice.one_of<std::size_t>({1, 2, 5, 256}),
                  .wishes = dice.one_of<std::size_t>({0, 0, 1, 4}),
                  .clock_steps = dice.one_of<std::size_t>({0, 0, 1, 2})};
  if (dice.one_in(8)) {
    weather.pace = Pace::kDays;
    weather.faulty_for = hours(26);
    weather.sending_for = dice.one_of<milliseconds>({minutes(1), hours(2), hours(20)});
    weather.crash_pause = hours(2);
    weather.restart_max = minutes(10);
    weather.resend_pause = minutes(10);
    weather.clock_step_max = hours(1);
    weather.look_again = dice.one_of<milliseconds>({minutes(10), hours(1), hours(12)});
  } else {
    weather.faulty_for = minutes(1);
    weather.sending_for = seconds(30);
    weather.crash_pause = milliseconds(2'000);
    weather.restart_max = milliseconds(2'000);
    weather.resend_pause = seconds(10);
    weather.clock_step_max = seconds(90);
    weather.look_again = dice.one_of<milliseconds>({seconds(1), seconds(20), minutes(5)});
    weather.schedule = {.delays = {seconds(1), seconds(5), seconds(20)},
                        .retry_after_max = seconds(60)};
    if (dice.one_in(2)) weather.schedule.delays = {seconds(1)};
  }
  for (EndpointWeather& endpoint : weather.endpoints) endpoint = draw_endpoint(weather, dice);
  return weather;
}

}  // namespace postern::simulation
