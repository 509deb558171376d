// What must hold of an image, and what held. What is to hold of the file as served (digests, those
// of a list, a signature) is computed while it is read.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "formats/checksums.h"
#include "image/origin.h"
#include "io/adapters.h"
#include "io/digest.h"
#include "io/signature.h"
#include "net/http/options.h"

namespace curlingiron {

// What must hold of the image; hashing costs time, so only what is asked for is computed.
struct ImageProofs {
  std::optional<ByteVector> sha256;        // of the file as served
  std::optional<ByteVector> image_sha256;  // of the raw image
  // A list of digests that has the file's name in it: URL or path, relative to the image's own.
  std::string sums;
  // An ed25519 key of minisign or signify, base64: signs the list, or where there is none the file.
  std::string public_key;
  // URL or path; empty: that of the signed file, with .minisig or .sig added.
  std::string signature;

  bool any() const { return sha256 || image_sha256 || !sums.empty() || !public_key.empty(); }
};

// What proved that the image is the one that was meant.
struct ImageProof {
  VerifiedDigest digest = VerifiedDigest::none_given();
  std::vector<std::string> by;  // "sha256", "image-sha256", "sums", "signature"
};

class ServedProofs {
 public:
  // Lists and signatures are small: they are here, and good, before the image is asked for.
  static Result<ServedProofs> prepare(const ImageOrigin& origin, const HttpOptions& options,
                                      const ImageProofs& wanted, std::optional<Time> deadline);

  // The list's digest of the name that was asked for, or of the file that a redirect led to, at
  // the URL `reached`. Empty: there was none.
  Result<void> choose_from_list(std::string_view reached);

  // Whether anything is to hold of the file as served.
  bool any() const { return !digests_.empty(); }
  // What is read through the source that it returns is digested. `source` must outlive detach().
  Source& attach(Source& source);
  void detach();
  // After the whole file was read; then it may be read once more, from its first byte.
  Result<void> prove(ImageProof& proof);

 private:
  struct Digest {
    std::string proof;  // what holds when it is right: "sha256"
    MessageDigest digest;
    ByteVector expected;                      // empty: `signature` decides
    std::optional<SignatureCheck> signature;  // of the digest
    std::unique_ptr<DigestSource> source;
  };
  // The list of digests that names the file; which of its names, may not be known before the
  // server has answered.
  struct List {
    List(std::string its_name, std::string its_text, const std::optional<PublicKey>& its_key)
        : name(std::move(its_name)), text(std::move(its_text)), key(its_key) {}
    Result<ExpectedDigest> find(std::string_view file) const;

    std::string name;  // the list's, for messages
    std::string text;
    std::string signature;
    std::optional<PublicKey> key;
    // Of the name that was asked for: an error where only a redirect's may be in the list.
    Result<ExpectedDigest> asked_for = Error("not looked up");
  };

  ServedProofs(const ImageOrigin& origin, const HttpOptions& options)
      : origin_(origin), options_(options) {}

  Result<void> prepare_list(const ImageProofs& wanted, const std::optional<PublicKey>& key,
                            std::optional<Time> deadline);
  Result<std::string> read_beside(const ImageOrigin& where, std::optional<Time> deadline) const;
  Result<std::string> fetch_signature(const ImageProofs& wanted, const ImageOrigin& of,
                                      std::optional<Time> deadline) const;
  void warn_of_choice(std::string_view chosen) const;
  void expect(std::string proof, DigestKind kind, ByteVector digest);

  ImageOrigin origin_;
  HttpOptions options_;
  std::optional<List> list_;
  std::vector<std::unique_ptr<Digest>> digests_;
};

}  // namespace curlingiron
