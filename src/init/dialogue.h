// What a person at a console is asked, where settings were left open. A machine without I/O: its
// owner shows text() and hands in lines.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "disk/choose.h"
#include "formats/settings.h"

namespace curlingiron {

class Dialogue {
 public:
  enum class State { Asking, Done, GivenUp };

  // Asks for what `settings` lack.
  explicit Dialogue(Settings settings);

  // The disks that are there now, known before each line is handed in.
  void set_disks(std::vector<Disk> disks) { disks_ = std::move(disks); }
  // What was wrong with the last line, and the next question: for 80 columns, without a line end
  // after the prompt.
  std::string text() const;
  // A line as it was typed; nullopt: the end of input.
  void accept(std::optional<std::string_view> line);

  State state() const { return state_; }
  // With the answers, once it is Done.
  const Settings& settings() const { return settings_; }

 private:
  enum class Question { Image, Digest, Disk, Confirm };

  void take_image(std::string_view line);
  void take_digest(std::string_view line);
  void finish_image();
  void take_disk(std::string_view line);
  void take_confirmation(std::string_view line);

  Settings settings_;
  bool asks_image_ = false;
  bool asks_disk_ = false;
  std::vector<Disk> disks_;
  std::optional<Disk> chosen_;
  Question question_ = Question::Image;
  State state_ = State::Asking;
  std::string mistake_;
};

}  // namespace curlingiron
