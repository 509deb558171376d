#include "io/xxh3.h"

#include <cstdlib>

// By its header alone: the library's archive is one object, with four times as much as is called
// here.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace curlingiron {
namespace {

void require(bool done) {
  if (!done) std::abort();
}

struct FreeState {
  void operator()(XXH3_state_t* state) const { ::XXH3_freeState(state); }
};

}  // namespace

uint64_t xxh3(ConstBytes bytes) { return ::XXH3_64bits(bytes.data(), bytes.size()); }

struct Xxh3::State {
  std::unique_ptr<XXH3_state_t, FreeState> state{::XXH3_createState()};
};

Xxh3::Xxh3() : state_(std::make_unique<State>()) {
  require(state_->state != nullptr && ::XXH3_64bits_reset(state_->state.get()) == XXH_OK);
}
Xxh3::Xxh3(Xxh3&&) noexcept = default;
Xxh3::~Xxh3() = default;

void Xxh3::update(ConstBytes bytes) {
  require(::XXH3_64bits_update(state_->state.get(), bytes.data(), bytes.size()) == XXH_OK);
}

uint64_t Xxh3::value() const { return ::XXH3_64bits_digest(state_->state.get()); }

}  // namespace curlingiron
