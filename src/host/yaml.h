// JSON values as the text of a YAML document, for people to read (YAML 1.2, chapter 10.2: what is a
// JSON scalar is one in YAML, see there for the exception).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace curlingiron {

// One statement a line, two blanks deeper for each level; every string in double quotes.
std::string to_yaml(const nlohmann::ordered_json& value);

}  // namespace curlingiron
