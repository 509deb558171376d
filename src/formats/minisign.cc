#include "formats/minisign.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "formats/base64.h"

namespace curlingiron {
namespace {

constexpr std::string_view kComment = "untrusted comment:";
constexpr std::string_view kTrustedComment = "trusted comment: ";
constexpr size_t kLongestText = size_t{64} << 10;  // minisign's own files: 10 KiB at most
constexpr size_t kPublicKeyBytes = 2 + 8 + 32;
constexpr size_t kSignatureBytes = 2 + 8 + 64;
constexpr size_t kMinisignSecretKeyBytes = 158;
constexpr size_t kSignifySecretKeyBytes = 104;

std::string_view without_line_end(std::string_view line) {
  while (line.ends_with('\r') || line.ends_with('\n')) line.remove_suffix(1);
  return line;
}

// Takes one line, without its end, off the front.
std::string_view take_line(std::string_view& text) {
  size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return without_line_end(line);
}

template <size_t N>
Result<std::array<uint8_t, N>> take_array(ByteReader& in) {
  ConstBytes bytes = TRY(in.take(N));
  std::array<uint8_t, N> array{};
  std::copy(bytes.begin(), bytes.end(), array.begin());
  return array;
}

// One line, and the only one that says these bytes: a signature file that somebody has touched is
// not accepted, even where that would change nothing.
Result<ByteVector> decode_line(std::string_view line) {
  ByteVector bytes = TRY(from_base64(line));
  if (to_base64(bytes) != line) return Error("base64 with bits or blanks that do not belong there");
  return bytes;
}

bool is_secret_key(ConstBytes bytes) {
  return bytes.size() == kMinisignSecretKeyBytes || bytes.size() == kSignifySecretKeyBytes;
}

Error not_a_signature(std::string_view text) {
  struct Other {
    std::string_view begin;
    std::string_view message;
  };
  static constexpr Other kOthers[] = {
      {"-----BEGIN PGP", "an OpenPGP signature"},
      {"-----BEGIN SSH", "an SSH signature"},
      {"<", "a web page (html or xml)"},
  };
  std::string_view what = "no minisign or signify signature";
  for (const Other& other : kOthers) {
    if (trim(text).starts_with(other.begin)) what = other.message;
  }
  return Error(concat("this is ", what,
                      "; give the URL of a signature made with \"minisign -S\" or \"signify -S\""));
}

// Algorithm, key id and signature.
Result<Signature> parse_signature_line(std::string_view line) {
  ByteVector bytes = TRY_CONTEXT("the signature", decode_line(line));
  if (bytes.size() == kPublicKeyBytes) {
    return Error("this is a public key, not a signature; the two were exchanged");
  }
  if (bytes.size() != kSignatureBytes) {
    return Error(concat("the signature has ", bytes.size(), " bytes instead of ", kSignatureBytes,
                        "; the file is damaged or cut off"));
  }
  ByteReader in(bytes);
  std::string_view algorithm = as_text(TRY(in.take(2)));
  Signature signature;
  if (algorithm == "Ed") {
    signature.form = SignedForm::Message;
  } else if (algorithm == "ED") {
    signature.form = SignedForm::Blake2b512;
  } else {
    return Error(concat("the signature's algorithm \"", printable(algorithm),
                        "\" is not known here; sign with \"minisign -S\" or \"signify -S\""));
  }
  signature.key = TRY(take_array<8>(in));
  signature.bytes = TRY(take_array<64>(in));
  return signature;
}

}  // namespace

std::string format_key_id(const KeyId& id) {
  KeyId big_endian = id;
  std::reverse(big_endian.begin(), big_endian.end());
  std::string text = to_hex(big_endian);
  text.erase(0, std::min(text.find_first_not_of('0'), text.size() - 1));
  for (char& c : text) {
    if (c >= 'a' && c <= 'f') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

Result<PublicKey> parse_public_key(std::string_view text) {
  if (text.size() > kLongestText) return Error("a public key has two lines; this file is too long");
  std::optional<std::string_view> coded;
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    if (line.empty() || (!coded && line.starts_with(kComment))) continue;
    if (coded) return Error("a public key has one line of base64; this file has more lines");
    coded = line;
  }
  if (!coded) return Error("the public key is missing");
  Result<ByteVector> bytes = decode_line(*coded);
  if (!bytes.ok()) {
    return Error(
        "this is no public key of minisign or signify: two lines, or the base64 of the second "
        "(\"RWQ...\")");
  }
  if (is_secret_key(bytes.value())) {
    return Error("this is a secret key; keep it to yourself, and give the public key (.pub)");
  }
  if (bytes.value().size() == kSignatureBytes) {
    return Error("this is a signature, not a public key; the two were exchanged");
  }
  ByteReader in(bytes.value());
  if (bytes.value().size() != kPublicKeyBytes || as_text(TRY(in.take(2))) != "Ed") {
    return Error("this is no Ed25519 public key of minisign or signify");
  }
  PublicKey key;
  key.id = TRY(take_array<8>(in));
  key.point = TRY(take_array<32>(in));
  return key;
}

Result<Signature> parse_signature(std::string_view text) {
  if (text.size() > kLongestText || !text.starts_with(kComment)) return not_a_signature(text);
  take_line(text);
  Signature signature = TRY(parse_signature_line(take_line(text)));
  if (trim(text).empty()) {
    if (signature.form == SignedForm::Message) return signature;
    return Error("the signature's trusted comment is missing; the file is cut off");
  }

  std::string_view comment = take_line(text);
  if (!comment.starts_with(kTrustedComment)) {
    return Error("the signature is followed by something else than a trusted comment");
  }
  TrustedComment trusted;
  trusted.text = std::string(comment.substr(kTrustedComment.size()));
  ByteVector bytes = TRY_CONTEXT("the trusted comment's signature", decode_line(take_line(text)));
  if (bytes.size() != trusted.signature.size()) {
    return Error(concat("the trusted comment's signature has ", bytes.size(), " bytes instead of ",
                        trusted.signature.size(), "; the file is damaged or cut off"));
  }
  std::copy(bytes.begin(), bytes.end(), trusted.signature.begin());
  if (!trim(text).empty())
    return Error("the signature has more lines than the four it should have");
  signature.trusted_comment = std::move(trusted);
  return signature;
}

std::optional<SignedText> parse_signed_text(std::string_view text) {
  if (!text.starts_with(kComment)) return std::nullopt;
  take_line(text);
  Result<Signature> signature = parse_signature_line(take_line(text));
  if (!signature.ok() || signature.value().form != SignedForm::Message || text.empty()) {
    return std::nullopt;
  }
  // A minisign signature's own lines are no message.
  if (text.starts_with(kTrustedComment)) return std::nullopt;
  return SignedText{std::move(signature).value(), text};
}

}  // namespace curlingiron
