// The image as this machine sees it, and what it is to replace.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "formats/settings.h"
#include "host/settings.h"
#include "image/origin.h"
#include "image/stream.h"

namespace curlingiron {

// The server is asked that long before a disk or a machine is put at stake.
inline constexpr Duration kSourcePatience = 10s;
// The image as this machine sees it; `origin` is what settings.sources name.
Result<std::unique_ptr<ImageStream>> open_image(const ImageOrigin& origin,
                                                const CheckedSettings& checked, ImageUse use);
// "xz, 412.0 MiB, 2.0 GiB unpacked (by the index at its end), TLSv1.3, to be proven by sha256".
std::string describe_image(const ImageStream& image, const Settings& settings);
// What it is proven by: "its SHA-256". Empty: nothing.
std::string describe_proof(const ImageOrigin& origin, const Settings& settings);
// Why that is only after it is written: "prove=stream". `does_not_fit`: where memory is why.
std::string why_proven_after(std::optional<uint64_t> served_size, const Settings& settings,
                             std::string_view does_not_fit);

// True when the person at the terminal, who is told this, types one of these words.
Result<bool> confirm(const std::string& what, const std::vector<std::string>& words);
// The same with the disk's name, or its path, which is what will be overwritten.
Result<bool> confirm_overwrite(const std::string& path);

}  // namespace curlingiron
