#include "base/progress.h"

#include <algorithm>

#include "base/text.h"
#include "base/units.h"

namespace curlingiron {
namespace {

uint64_t permille_of(uint64_t done, uint64_t total) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(std::min(done, total)) * 1000 /
                               total);
}

// "1.2 GiB of 2.9 GiB, 93.1 MB/s, 18 s left"
std::string quantities(uint64_t done, std::optional<uint64_t> total, Duration elapsed,
                       std::string_view stall) {
  if (!stall.empty()) {
    std::string of = total && *total != 0 ? concat(" of ", format_size(*total)) : "";
    return concat(format_size(done), of, ", ", stall);
  }
  if (!total || *total == 0) return concat(format_size(done), ", ", format_rate(done, elapsed));
  std::string text =
      concat(format_size(done), " of ", format_size(*total), ", ", format_rate(done, elapsed));
  if (done != 0 && done < *total) {
    auto left =
        static_cast<int64_t>(static_cast<__int128>(elapsed.count()) * (*total - done) / done);
    text += concat(", ", format_duration(Duration(left)), " left");
  }
  return text;
}

}  // namespace

std::string progress_line(std::string_view verb, uint64_t done, std::optional<uint64_t> total,
                          Duration elapsed, std::string_view stall) {
  std::string text = quantities(done, total, elapsed, stall);
  if (!total || *total == 0) return concat(verb, " ", text);
  uint64_t permille = permille_of(done, *total);
  return concat(verb, " ", permille / 10, ".", permille % 10, "% ", text);
}

std::string StallNote::look(uint64_t done, std::string_view what, Time time) {
  if (!since_ || done != done_) {
    done_ = done;
    since_ = time;
    return {};
  }
  if (time - *since_ < kQuiet) return {};
  return concat("waiting for ", what, " for ", format_duration(time - *since_));
}

std::string progress_bar(std::string_view verb, uint64_t done, std::optional<uint64_t> total,
                         Duration elapsed, unsigned columns, std::string_view stall) {
  std::string line = progress_line(verb, done, total, elapsed, stall);
  constexpr size_t kShortest = 10;
  constexpr size_t kLongest = 40;
  if (total && *total != 0 && line.size() + kShortest + 3 < columns) {
    size_t width = std::min<size_t>(kLongest, columns - line.size() - 3 - 1);
    size_t full = static_cast<size_t>(permille_of(done, *total)) * width / 1000;
    std::string bar = concat("[", std::string(full, '='), full < width ? ">" : "");
    bar.resize(width + 1, ' ');
    size_t percent = line.find('%') + 1;
    line = concat(line.substr(0, percent), " ", bar, "]", line.substr(percent));
  }
  if (columns > 1 && line.size() >= columns) line.resize(columns - 1);
  return line;
}

}  // namespace curlingiron
