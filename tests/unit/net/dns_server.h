// A name server on loopback, over UDP and TCP on one port, that answers as a test wants it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "net/dns/resolver.h"

namespace curlingiron::testing {

class DnsServer {
 public:
  enum class Transport { Udp, Tcp };
  // The answers to one query, none to be silent.
  using Script = std::function<std::vector<ByteVector>(ConstBytes query, Transport transport)>;

  explicit DnsServer(Script script);
  ~DnsServer();

  NameServer as_name_server() const;
  // "UDP www.example.test A", in the order of arrival.
  std::vector<std::string> queries() const;
  // The ports that datagrams came from.
  std::vector<uint16_t> ports() const;

 private:
  void serve();
  std::vector<ByteVector> answer(ConstBytes query, Transport transport);

  Script script_;
  int udp_ = -1;
  int tcp_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<std::string> queries_;
  std::vector<uint16_t> ports_;
  std::thread thread_;
};

}  // namespace curlingiron::testing
