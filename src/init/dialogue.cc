#include "init/dialogue.h"

#include "base/text.h"
#include "image/origin.h"

namespace curlingiron {

Dialogue::Dialogue(Settings settings)
    : settings_(std::move(settings)),
      asks_image_(settings_.sources.empty()),
      asks_disk_(settings_.destination.empty()) {
  if (asks_image_) return;
  if (asks_disk_) {
    question_ = Question::Disk;
  } else {
    state_ = State::Done;
  }
}

std::string Dialogue::text() const {
  std::string text;
  auto say = [&text](std::string_view words) { append_wrapped(text, "", words, 0); };
  if (!mistake_.empty()) say(mistake_);
  switch (question_) {
    case Question::Image:
      say("What is to be installed on this machine? The URL of a disk image, or \"quit\" to start "
          "the old system again.");
      return text + "Image: ";
    case Question::Digest: {
      bool proves_server = settings_.sources.front().starts_with("https:");
      say(concat("Its SHA-256, 64 hexadecimal digits (Enter: it is not known",
                 proves_server ? "" : "; then nothing proves what comes over plain http", ")."));
      return text + "SHA-256: ";
    }
    case Question::Disk: {
      say(disks_.empty() ? "There is no disk yet; Enter looks again." : "The disks:");
      for (size_t i = 0; i < disks_.size(); ++i) {
        append_wrapped(text, concat("  ", i + 1, "  "), disks_[i].describe(), 5);
      }
      say("Which one is to be overwritten? Its number or name.");
      return text + "Disk: ";
    }
    case Question::Confirm:
      say(concat("All data on ", chosen_->describe(), " will be lost."));
      return text + concat("Type ", chosen_->name, " to go on: ");
  }
  __builtin_unreachable();
}

void Dialogue::accept(std::optional<std::string_view> line) {
  mistake_.clear();
  std::string_view answer = line ? trim(*line) : "";
  if (!line || answer == "quit") {
    state_ = State::GivenUp;
    return;
  }
  switch (question_) {
    case Question::Image: take_image(answer); break;
    case Question::Digest: take_digest(answer); break;
    case Question::Disk: take_disk(answer); break;
    case Question::Confirm: take_confirmation(answer); break;
  }
}

void Dialogue::take_image(std::string_view line) {
  if (line.empty()) return;
  Result<ImageOrigin> origin = parse_origin({std::string(line)});
  if (!origin.ok()) {
    mistake_ = origin.error().message();
  } else if (origin.value().kind != OriginKind::Http) {
    mistake_ = concat(printable(line, 60), " is no URL; it begins with https:// or http://");
  } else {
    settings_.sources = {std::string(line)};
    // What is proven already needs no digest.
    bool is_proven = !settings_.public_key.empty() || settings_.sha256 || settings_.image_sha256 ||
                     !settings_.sums.empty();
    if (!is_proven) {
      question_ = Question::Digest;
    } else {
      finish_image();
    }
  }
}

void Dialogue::take_digest(std::string_view line) {
  if (!line.empty()) {
    Result<void> set = apply_setting("sha256", line, settings_);
    if (!set.ok()) {
      mistake_ = set.error().message();
      return;
    }
  }
  finish_image();
}

void Dialogue::finish_image() {
  if (asks_disk_) {
    question_ = Question::Disk;
  } else {
    state_ = State::Done;
  }
}

void Dialogue::take_disk(std::string_view line) {
  if (line.empty()) return;
  Result<uint32_t> number = parse_u32(line);
  if (number.ok()) {
    if (number.value() == 0 || number.value() > disks_.size()) {
      mistake_ = concat(line, ": there is no disk of that number");
      return;
    }
    chosen_ = disks_[number.value() - 1];
  } else {
    Result<Disk> disk = choose_disk(disks_, line);
    if (!disk.ok()) {
      mistake_ = disk.error().message();
      return;
    }
    chosen_ = std::move(disk).value();
  }
  Result<std::string> identity = identity_of(*chosen_, disks_);
  if (!identity.ok()) {
    mistake_ = identity.error().message();
    return;
  }
  settings_.destination = std::move(identity).value();
  question_ = Question::Confirm;
}

void Dialogue::take_confirmation(std::string_view line) {
  if (line == chosen_->name || line == chosen_->path()) {
    state_ = State::Done;
    return;
  }
  settings_.destination.clear();
  mistake_ = "Not confirmed; nothing was written.";
  question_ = Question::Disk;
}

}  // namespace curlingiron
