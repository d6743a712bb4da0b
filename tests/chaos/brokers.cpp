// Hosts the brokers of chaos_test.py: a real RabbitMQ server and librdkafka's mock cluster, which
// lives in a process of ours and is reached by TCP. Orders come as lines on stdin, each answered
// with "done" when it is carried out:
//
//   rabbit kill | rabbit start | rabbit freeze | rabbit thaw
//   kafka down | kafka up | kafka refuse (3 requests) | kafka delay (1 answer, 2 s)
//   end    writes what both topics hold to FOLDER/rabbit and FOLDER/kafka: event id, blank, body
#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <thread>

#include "tests/delivery/mock_kafka.h"
#include "tests/delivery/rabbitmq_client.h"
#include "tests/delivery/rabbitmq_server.h"

namespace {

using postern::delivery::kProduceRequest;
using postern::delivery::MockKafka;
using postern::delivery::RabbitmqClient;
using postern::delivery::RabbitmqServer;

constexpr const char* kName = "payments";  // of exchange, queue and topic

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void serve(const std::string& folder) {
  RabbitmqServer rabbit;
  {
    RabbitmqClient client(rabbit.port());
    client.declare_exchange(kName);
    client.declare_queue(kName);
    client.bind(kName, kName, "#");
  }
  MockKafka kafka;
  std::atomic<bool> is_over = false;
  std::jthread follower([&] {
    std::ofstream file(folder + "/kafka");
    kafka.follow(kName, is_over, [&](const postern::delivery::ConsumedRecord& record) {
      file << record.headers.at("ce_id") << ' ' << record.body << '\n';
    });
  });
  const std::map<std::string, std::function<void()>> orders{
      {"rabbit kill", [&] { rabbit.kill(); }},
      {"rabbit start", [&] { rabbit.restart(); }},
      {"rabbit freeze", [&] { rabbit.freeze(); }},
      {"rabbit thaw", [&] { rabbit.thaw(); }},
      {"kafka down", [&] { kafka.set_down(); }},
      {"kafka up", [&] { kafka.heal(); }},
      {"kafka refuse",
       [&] { kafka.fail(kProduceRequest, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 3); }},
      {"kafka delay", [&] { kafka.delay(kProduceRequest, std::chrono::seconds(2)); }},
  };
  say(fmt::format("ready {} {}", rabbit.port(), kafka.brokers()));
  for (std::string line; std::getline(std::cin, line) && line != "end"; say("done")) {
    orders.at(line)();
  }
  is_over = true;
  follower.join();
  std::ofstream file(folder + "/rabbit");
  for (const auto& message : RabbitmqClient(rabbit.port()).take_all(kName)) {
    file << message.message_id << ' ' << message.body << '\n';
  }
  file.close();
  say("done");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  if (!RabbitmqServer::is_installed()) {
    say("absent");
    return 0;
  }
  try {
    serve(argv[1]);
  } catch (const std::exception& exception) {
    fmt::print(stderr, "brokers: {}\n", exception.what());
    return 1;
  }
  return 0;
}
