#include "init/drivers.h"

#include <fcntl.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>

#include "base/log.h"
#include "base/text.h"
#include "formats/payload_layout.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/module.h"
#include "sys/thread.h"
#include "sys/uevent.h"

namespace curlingiron {
namespace {

// No uevent for that long, and no load in flight: what will come by itself has come.
constexpr Duration kQuiet = 500ms;
// A driver's init mostly waits for its hardware: on one processor, too, a slow disk controller must
// not keep the NIC waiting.
constexpr unsigned kLeastWorkers = 4;
constexpr unsigned kMostWorkers = 8;
// The bound of formats/module_index.h.
// sysfs is a tree of at most a few thousand devices; a deeper one is not sysfs.
constexpr unsigned kDeepest = 32;

constexpr const char* kDevices = "sys/devices";

// TLS waits for the kernel's random numbers, and this is where a virtual machine gets them from.
constexpr std::string_view kEntropyDriver = "virtio_rng";

// Visits the uevent file of every device. What cannot be read went away meanwhile.
void for_each_device(const UniqueFd& root, const std::string& directory, unsigned depth,
                     const std::function<void(const std::string& uevent)>& visit) {
  Result<std::vector<std::string>> names = list_directory(root, directory);
  if (!names.ok()) return;
  for (const std::string& name : names.value()) {
    std::string path = concat(directory, "/", name);
    if (name == "uevent") {
      visit(path);
      continue;
    }
    if (depth == kDeepest) continue;
    Result<FileStatus> status = file_status(root, path, FollowLinks::No);
    if (status.ok() && status.value().type == FileType::Directory) {
      for_each_device(root, path, depth + 1, visit);
    }
  }
}

// Each device announces itself again, with its modalias.
void trigger(const UniqueFd& root) {
  for_each_device(root, kDevices, 0, [&](const std::string& uevent) {
    (void)write_existing(root, uevent, "add");  // A device that went away has nothing to announce.
  });
}

// For people who read the kernel's log: what the modprobe helper does has no other place.
void say_to_kernel(char level, std::string_view line) {
  Result<UniqueFd> kmsg = open_path("/dev/kmsg", O_WRONLY | O_NONBLOCK);
  if (!kmsg.ok()) return;
  (void)write_all(kmsg.value(), as_bytes(concat("<", level, ">curlingiron: ", line, "\n")));
}

}  // namespace

struct Drivers::State {
  UniqueFd root;
  const ModuleIndex& index;
  ModuleLookup lookup{index};
  UeventSocket events;
  WakeEvent wake;

  mutable std::mutex mutex;
  std::condition_variable work;     // queue or stopping changed: for the workers
  std::condition_variable changed;  // a module was loaded or a device announced: for those who wait
  // What one modalias leads to, in the index's order: where several drivers take a device, the
  // first to be loaded gets it, as with modprobe.
  using Work = std::vector<std::string>;
  std::deque<Work> queue;
  enum class Progress { Queued, Loading, Done };
  std::map<std::string, Progress, std::less<>> progress;
  std::set<std::string, std::less<>> seen_aliases;
  std::map<std::string, std::string, std::less<>> failures;  // module -> what the kernel said
  unsigned in_flight = 0;
  unsigned loaded = 0;
  uint64_t generation = 0;  // counts every change, so that a waiter misses none
  Time last_event{};
  bool stopping = false;

  std::vector<Thread> threads;

  State(UniqueFd root_fd, const ModuleIndex& module_index, UeventSocket socket,
        WakeEvent wake_event)
      : root(std::move(root_fd)),
        index(module_index),
        events(std::move(socket)),
        wake(std::move(wake_event)) {}

  void enqueue(Work names) {  // with the mutex held
    bool is_new = false;
    for (const std::string& name : names) is_new = progress.try_emplace(name).second || is_new;
    if (!is_new) return;
    if (names.front() == kEntropyDriver) {
      queue.push_front(std::move(names));
    } else {
      queue.push_back(std::move(names));
    }
    work.notify_one();
  }

  void announce(const std::string& modalias) {
    bool is_new = false;
    {
      std::lock_guard lock(mutex);
      last_event = now();
      ++generation;
      is_new = !modalias.empty() && seen_aliases.insert(modalias).second;
      if (is_new) enqueue(lookup.modules_for(modalias));
    }
    changed.notify_all();
    // Not while others wait for the mutex: a serial port is slow.
    if (is_new) log_debug(concat("modalias ", printable(modalias, modalias.size())));
  }

  // After lost announcements: reads what the devices are. To trigger them once more would only fill
  // the socket's buffer again, at the same place.
  void rescan() {
    for_each_device(root, kDevices, 0, [&](const std::string& uevent) {
      std::string modalias = read_uevent_modalias(root, uevent);
      if (!modalias.empty()) announce(modalias);
    });
    announce("");  // Whatever else was lost: goals are looked at again.
  }

  void listen() {
    for (;;) {
      PollItem items[] = {{events.fd(), true, false, false}, {wake.fd(), true, false, false}};
      (void)poll_items(items, std::nullopt);
      {
        std::lock_guard lock(mutex);
        if (stopping) return;
      }
      for (;;) {
        Uevent event;
        Result<UeventSocket::Status> status = events.receive(event);
        if (!status.ok()) {
          log_warning("devices that appear from now on are not seen", status.error());
          return;
        }
        if (status.value() == UeventSocket::Status::Empty) break;
        if (status.value() == UeventSocket::Status::Lost) {
          rescan();
          continue;
        }
        if (event.action == "add" || event.action == "change" || event.action == "bind") {
          announce(event.modalias);
        }
      }
    }
  }

  // Loads one module whose dependencies are loaded. Of several workers that need it, one loads and
  // the others wait.
  void load_one(const std::string& name) {
    std::unique_lock lock(mutex);
    while (progress[name] == Progress::Loading) changed.wait(lock);
    if (progress[name] == Progress::Done) return;
    progress[name] = Progress::Loading;
    lock.unlock();
    Result<ModuleOutcome> outcome = load_module(root, lookup.find(name)->path);
    if (!outcome.ok()) log_warning("driver not loaded", outcome.error());
    lock.lock();
    progress[name] = Progress::Done;
    if (!outcome.ok()) failures[name] = outcome.error().message();
    if (outcome.ok() && outcome.value() == ModuleOutcome::Loaded) ++loaded;
    ++generation;
    changed.notify_all();
  }

  void work_off() {
    for (;;) {
      Work names;
      {
        std::unique_lock lock(mutex);
        work.wait(lock, [this] { return stopping || !queue.empty(); });
        if (stopping) return;
        names = std::move(queue.front());
        queue.pop_front();
        ++in_flight;
      }
      for (const std::string& name : names) {
        for (const std::string& dependency : lookup.find(name)->dependencies) load_one(dependency);
        load_one(name);
      }
      {
        std::lock_guard lock(mutex);
        --in_flight;
        ++generation;
        last_event = now();
      }
      changed.notify_all();
    }
  }

  bool settled_locked(Time at) const {
    return queue.empty() && in_flight == 0 && at - last_event >= kQuiet;
  }
};

Drivers::Drivers(std::unique_ptr<State> state) : state_(std::move(state)) {}

Drivers::~Drivers() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->work.notify_all();
  state_->wake.signal();
  for (Thread& thread : state_->threads) thread.join();
}

Result<std::unique_ptr<Drivers>> Drivers::start(const UniqueFd& root, const ModuleIndex& index) {
  // A kernel without loadable modules has no such sysctl.
  Result<void> helper = write_existing(root, "proc/sys/kernel/modprobe", "/init");
  if (!helper.ok() && helper.error().code() != ENOENT)
    log_warning("modprobe helper", helper.error());

  // Open before the devices are asked, so that no answer is lost.
  UeventSocket events = TRY(UeventSocket::open());
  WakeEvent wake = TRY(WakeEvent::create());
  UniqueFd own_root = TRY(duplicate(root));
  std::unique_ptr<Drivers> drivers(new Drivers(
      std::make_unique<State>(std::move(own_root), index, std::move(events), std::move(wake))));
  State& state = *drivers->state_;
  {
    std::lock_guard lock(state.mutex);
    state.last_event = now();
    for (const std::string& name : state.index.load) state.enqueue({name});
  }
  unsigned workers = std::clamp(processor_count(), kLeastWorkers, kMostWorkers);
  for (unsigned i = 0; i < workers; ++i) {
    state.threads.push_back(TRY(Thread::start([&state] { state.work_off(); })));
  }
  state.threads.push_back(TRY(Thread::start([&state] { state.listen(); })));
  trigger(state.root);
  return drivers;
}

bool Drivers::wait_until(const std::function<bool()>& goal, Time deadline) {
  for (;;) {
    uint64_t before = 0;
    Time settles{};
    {
      std::lock_guard lock(state_->mutex);
      before = state_->generation;
      settles = state_->last_event + kQuiet;
    }
    if (goal()) return true;  // Without the mutex: it may look at this object.
    Time current = now();
    if (current >= deadline) return false;
    // "Nothing happens any more" is an event, too: goals may ask settled().
    Time until = settles > current ? std::min(settles, deadline) : deadline;
    std::unique_lock lock(state_->mutex);
    state_->changed.wait_for(lock, until - current, [&] { return state_->generation != before; });
  }
}

bool Drivers::settled() const {
  std::lock_guard lock(state_->mutex);
  return state_->settled_locked(now());
}

unsigned Drivers::loaded() const {
  std::lock_guard lock(state_->mutex);
  return state_->loaded;
}

DriverAnswer Drivers::answer(std::string_view modalias) const {
  DriverAnswer answer{state_->lookup.modules_for(modalias), {}};
  std::lock_guard lock(state_->mutex);
  // The first to fail is the cause: a dependency's failure before that of what needs it.
  auto note = [&](const std::string& name) {
    auto failure = state_->failures.find(name);
    if (answer.failure.empty() && failure != state_->failures.end()) {
      answer.failure = failure->second;
    }
  };
  for (const std::string& name : answer.modules) {
    if (!state_->failures.contains(name)) continue;  // Soft dependencies may fail.
    for (const std::string& dependency : state_->lookup.find(name)->dependencies) note(dependency);
    note(name);
  }
  return answer;
}

int load_on_request(int argc, char** argv) {
  std::string alias = argc > 1 ? argv[argc - 1] : "";
  // The one kind of hardware that no uevent announces: a NIC's PHY.
  if (alias.starts_with("mdio:")) say_to_kernel('7', concat("modalias ", printable(alias)));
  auto load = [&]() -> Result<bool> {
    UniqueFd root = TRY(open_root("/"));
    std::string text = TRY(read_text(root, kModuleIndexFile.path, kModuleIndexFile.largest));
    ModuleIndex index = TRY(parse_module_index(text));
    ModuleLookup lookup(index);
    std::vector<std::string> names = lookup.modules_for(alias);
    for (const std::string& name : names) {
      const IndexedModule* module = lookup.find(name);
      for (const std::string& dependency : module->dependencies) {
        // Some are soft; one that is not shows in the module itself.
        (void)load_module(root, lookup.find(dependency)->path);
      }
      TRY(load_module(root, module->path));
    }
    return !names.empty();
  };
  Result<bool> found = load();
  if (!found.ok()) {
    say_to_kernel('4', concat(printable(alias), " not loaded: ", found.error().message()));
  }
  return found.ok() && found.value() ? 0 : 1;
}

}  // namespace curlingiron
