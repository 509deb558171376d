#include "init/open_settings.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "formats/smbios.h"
#include "init/console.h"
#include "init/dialogue.h"
#include "init/rescue_system.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/terminal.h"

namespace curlingiron {
namespace {

constexpr Duration kDriversPatience = 10s;
// So long a DHCP server is waited for, where nobody said that there is one.
constexpr Duration kDhcpPatience = 60s;
// Somebody who answers may think about it.
constexpr Duration kAnswerPatience = std::chrono::minutes(30);

// Words KEY=VALUE of `whose`.
Result<void> apply_words(std::string_view whose, const std::vector<std::string>& words,
                         Settings& settings) {
  Settings more;
  for (const std::string& word : words) {
    auto [key, value] = TRY_CONTEXT(whose, split_setting(word));
    TRY_CONTEXT(whose, apply_setting(key, value, more));
    if (can_be_left_open(key)) continue;
    log_warning(concat(whose, ": ", key, " is not taken from there; set it with build"));
  }
  for (std::string_view key : complete_settings(settings, std::move(more))) {
    log_warning(concat(whose, ": ", key, " is passed over, as ",
                       settings.sources.empty() ? "it belongs to an image that is not named there"
                                                : "what is there already stays"));
  }
  return {};
}

Result<void> complete_from_smbios(const UniqueFd& root, Settings& settings) {
  constexpr std::string_view kWhose = "SMBIOS";
  Result<ByteVector> table = read_file(root, "sys/firmware/dmi/tables/DMI", kMostSmbios);
  if (!table.ok()) return {};
  std::vector<std::string> words;
  for (const std::string& text : parse_oem_strings(table.value())) {
    std::string word = TRY_CONTEXT(kWhose, setting_of_oem_string(text));
    if (!word.empty()) words.push_back(std::move(word));
  }
  return apply_words(kWhose, words, settings);
}

Result<void> complete_from_fw_cfg(const UniqueFd& root, Settings& settings) {
  constexpr std::string_view kFolder = "sys/firmware/qemu_fw_cfg/by_name/opt";
  struct Place {
    std::string_view folder, prefix;
  };
  constexpr Place kPlaces[] = {{"curlingiron", ""}, {"io.systemd.credentials", "curlingiron."}};
  std::vector<std::string> words;
  for (const Place& place : kPlaces) {
    std::string folder = concat(kFolder, "/", place.folder);
    Result<std::vector<std::string>> names = list_directory(root, folder);
    if (!names.ok()) continue;
    for (const std::string& name : names.value()) {
      if (!name.starts_with(place.prefix)) continue;
      std::string value = TRY(read_text(root, concat(folder, "/", name, "/raw")));
      words.push_back(concat(name.substr(place.prefix.size()), "=", trim(value)));
    }
  }
  return apply_words("fw_cfg", words, settings);
}

Result<void> complete_from_firmware(const UniqueFd& root, Settings& settings) {
  TRY(complete_from_smbios(root, settings));
  return complete_from_fw_cfg(root, settings);
}

bool is_complete(const Settings& settings) { return check_complete(settings).ok(); }

// Whoever answers decides what this machine becomes: that is what was left open.
Result<void> complete_from_dhcp(const Mounts& mounts, Configuration& configuration) {
  constexpr std::string_view kPrefix = "curlingiron.";
  NetworkOrder order = TRY(network_order(configuration));
  Time deadline = std::min(configuration.deadline, now() + kDhcpPatience);
  std::string text = TRY(Network::ask_for_settings(mounts.root, std::move(order), deadline));
  std::vector<std::string> words;
  for (const std::string& word : split_command_line(text)) {
    if (word.starts_with(kPrefix)) words.push_back(word.substr(kPrefix.size()));
  }
  if (words.empty()) return Error("no DHCP server gives settings (option 224)");
  return apply_words("DHCP option 224", words, configuration.settings);
}

// Lines of one console, for as long as somebody types there.
class ConsoleLines {
 public:
  explicit ConsoleLines(UniqueFd terminal) : terminal_(std::move(terminal)) {}

  void show(std::string_view text) { write_patiently(terminal_, text); }

  // nullopt: it was hung up, or nobody typed for long.
  std::optional<std::string> read_line() {
    for (;;) {
      size_t end = typed_.find('\n');
      if (end != std::string::npos) {
        std::string line = typed_.substr(0, end);
        typed_.erase(0, end + 1);
        return line;
      }
      PollItem item{terminal_.get()};
      Result<bool> ready = poll_items({&item, 1}, kAnswerPatience);
      std::array<uint8_t, 1024> chunk;
      Result<size_t> n = size_t{0};
      if (ready.ok() && ready.value()) n = read_some(terminal_, chunk);
      if (!n.ok() || n.value() == 0 || typed_.size() > kLongest) return std::nullopt;
      typed_ += as_text(ConstBytes(chunk).first(n.value()));
    }
  }

 private:
  static constexpr size_t kLongest = 16384;

  UniqueFd terminal_;
  std::string typed_;
};

Result<void> ask(ConsoleLines& lines, DeadMan& dead_man, const Mounts& mounts,
                 Configuration& configuration) {
  Dialogue dialogue(configuration.settings);
  while (dialogue.state() == Dialogue::State::Asking) {
    dead_man.put_off(now() + kAnswerPatience + kDeadManGrace);
    Result<std::vector<Disk>> disks = list_disks(mounts.root);
    if (disks.ok()) dialogue.set_disks(std::move(disks).value());
    lines.show(concat("\n", dialogue.text()));
    std::optional<std::string> line = lines.read_line();
    dialogue.accept(line ? std::optional<std::string_view>(*line) : std::nullopt);
  }
  if (dialogue.state() == Dialogue::State::GivenUp) return Error("nobody said what to install");
  configuration.settings = dialogue.settings();
  configuration.deadline = now() + configuration.settings.deadline;
  dead_man.put_off(configuration.deadline + kDeadManGrace);
  return {};
}

// Never on an unattended machine: somebody has to press Enter.
Result<std::string> ask_somebody(DeadMan& dead_man, const Mounts& mounts,
                                 Configuration& configuration) {
  Duration left = std::max<Duration>(configuration.deadline - now(), 0s);
  Error open = check_complete(configuration.settings).error();
  // What is typed as soon as they are asked is heard.
  std::vector<Console> consoles = open_consoles(mounts.root);
  log_info(concat(open.message(),
                  ", or by SMBIOS, fw_cfg or DHCP; press Enter on this console within ",
                  format_duration(left), " to say it here"));
  std::optional<std::string> name = TRY(wait_for_enter(std::move(consoles), left));
  if (!name) return open;
  UniqueFd terminal =
      TRY(open_at(mounts.root, concat("dev/", *name), O_RDWR | O_NONBLOCK | O_NOCTTY));
  discard_input(terminal);
  ConsoleLines lines(std::move(terminal));
  TRY(ask(lines, dead_man, mounts, configuration));
  return *name;
}

}  // namespace

Facts SettingsFound::facts() const { return {{"from", from}}; }

Result<SettingsFound> find_settings(DeadMan& dead_man, const Mounts& mounts,
                                    Configuration& configuration, const DriversRunning& running) {
  Settings& settings = configuration.settings;
  // The driver of fw_cfg is one of those that may still be on their way.
  running.drivers->wait_until([&] { return running.drivers->settled(); },
                              std::min(configuration.deadline, now() + kDriversPatience));
  TRY(complete_from_firmware(mounts.root, settings));
  if (is_complete(settings)) return SettingsFound{"firmware"};
  // A machine that somebody wants to log in to must not become what anybody on the network says.
  bool asks_dhcp = !has_rescue_system(mounts.root) || !settings.public_key.empty();
  if (asks_dhcp && count_devices(mounts.root, "sys/class/net") != 0) {
    Result<void> given = complete_from_dhcp(mounts, configuration);
    if (!given.ok()) log_info(given.error().message());
    if (is_complete(settings)) return SettingsFound{"DHCP"};
  }
  if (has_rescue_system(mounts.root)) return SettingsFound{"nobody"};
  return SettingsFound{TRY(ask_somebody(dead_man, mounts, configuration))};
}

}  // namespace curlingiron
