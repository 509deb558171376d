#include "image/proofs.h"

#include <algorithm>

#include "base/advice.h"
#include "base/log.h"
#include "base/text.h"

namespace curlingiron {

Result<ExpectedDigest> ServedProofs::List::find(std::string_view file) const {
  if (key) return find_signed_checksum(*key, text, signature, file).with_context(name);
  return find_checksum(text, file).with_context(name);
}

void ServedProofs::expect(std::string proof, DigestKind kind, ByteVector digest) {
  digests_.push_back(std::make_unique<Digest>(
      Digest{std::move(proof), MessageDigest(kind), std::move(digest), std::nullopt, nullptr}));
}

// A list or a signature. Headers and the client's certificate are for the image's servers: another
// one does not see them.
Result<std::string> ServedProofs::read_beside(const ImageOrigin& where,
                                              std::optional<Time> deadline) const {
  HttpOptions options = options_;
  auto holds_the_image = [&](const Url& url) {
    return std::ranges::any_of(origin_.mirrors,
                               [&](const Url& mirror) { return is_same_server(mirror, url); });
  };
  if (origin_.kind == OriginKind::Http && !std::ranges::all_of(where.mirrors, holds_the_image)) {
    options.headers.clear();
    options.client_certificate.reset();
  }
  return read_small(where, options, deadline);
}

// The one that is named; else that of minisign, or of signify.
Result<std::string> ServedProofs::fetch_signature(const ImageProofs& wanted, const ImageOrigin& of,
                                                  std::optional<Time> deadline) const {
  if (!wanted.signature.empty()) {
    return read_beside(TRY_CONTEXT("sig", origin_beside(origin_, wanted.signature)), deadline);
  }
  Result<std::string> minisig = read_beside(origin_with_suffix(of, ".minisig"), deadline);
  if (minisig.ok()) return minisig;
  Result<std::string> sig = read_beside(origin_with_suffix(of, ".sig"), deadline);
  if (sig.ok()) return sig;
  return Error(concat("no signature: ", minisig.error().message(), ", and ", sig.error().message(),
                      "; name it with ", as_typed("sig=URL")));
}

Result<void> ServedProofs::prepare_list(const ImageProofs& wanted,
                                        const std::optional<PublicKey>& key,
                                        std::optional<Time> deadline) {
  ImageOrigin where = TRY_CONTEXT("sums", origin_beside(origin_, wanted.sums));
  list_.emplace(where.name(), TRY(read_beside(where, deadline)), key);
  if (key && !parse_signed_text(list_->text)) {
    list_->signature = TRY(fetch_signature(wanted, where, deadline));
  }
  list_->asked_for = list_->find(TRY(file_name(origin_)));
  if (!list_->asked_for.ok() && origin_.kind != OriginKind::Http) return list_->asked_for.error();
  return {};
}

Result<ServedProofs> ServedProofs::prepare(const ImageOrigin& origin, const HttpOptions& options,
                                           const ImageProofs& wanted,
                                           std::optional<Time> deadline) {
  ServedProofs proofs(origin, options);
  if (wanted.sha256) proofs.expect("sha256", DigestKind::Sha256, *wanted.sha256);
  if (!wanted.signature.empty() && wanted.public_key.empty()) {
    return Error(
        concat("a signature is named, but no key to check it with; pass ", as_typed("pubkey=KEY")));
  }
  std::optional<PublicKey> key;
  if (!wanted.public_key.empty()) key = TRY_CONTEXT("pubkey", parse_public_key(wanted.public_key));
  if (!wanted.sums.empty()) {
    TRY(proofs.prepare_list(wanted, key, deadline));
  } else if (key) {
    std::string text = TRY(proofs.fetch_signature(wanted, origin, deadline));
    Signature signature = TRY_CONTEXT("the image's signature", parse_signature(text));
    SignatureCheck check = TRY(SignatureCheck::prepare(*key, std::move(signature)));
    TRY(check.check_fits_image());
    proofs.expect("signature", DigestKind::Blake2b512, {});
    proofs.digests_.back()->signature = std::move(check);
  }
  return proofs;
}

// The list proves that the file is one of those in it, and not which one of them was meant.
void ServedProofs::warn_of_choice(std::string_view chosen) const {
  if (comes_from_the_right_place(origin_, options_.servers_prove())) return;
  log_warning(concat(origin_.name(), ": the server redirects to ", printable(chosen, 100),
                     ", and that name is the one in ", list_->name,
                     ": somebody on the way could have chosen another file of the list; use https, "
                     "or name the file"));
}

Result<void> ServedProofs::choose_from_list(std::string_view reached) {
  if (!list_) return {};
  Result<ExpectedDigest> digest = list_->asked_for;
  if (!digest.ok() && !reached.empty()) {
    Result<ImageOrigin> there = parse_origin({std::string(reached)});
    Result<std::string> other = there.ok() ? file_name(there.value()) : there.error();
    if (other.ok()) {
      Result<ExpectedDigest> found = list_->find(other.value());
      if (found.ok()) {
        warn_of_choice(other.value());
        digest = std::move(found);
      }
    }
  }
  if (!digest.ok()) return digest.error();
  expect(list_->key ? "signed sums" : "sums", digest.value().kind, digest.value().bytes);
  list_.reset();
  return {};
}

Source& ServedProofs::attach(Source& source) {
  Source* top = &source;
  for (std::unique_ptr<Digest>& digest : digests_) {
    digest->source = std::make_unique<DigestSource>(*top, digest->digest);
    top = digest->source.get();
  }
  return *top;
}

void ServedProofs::detach() {
  for (std::unique_ptr<Digest>& digest : digests_) digest->source.reset();
}

Result<void> ServedProofs::prove(ImageProof& proof) {
  std::string name = origin_.name();
  for (std::unique_ptr<Digest>& digest : digests_) {
    ByteVector actual = digest->digest.finish();
    digest->digest = MessageDigest(digest->digest.kind());
    if (digest->signature) {
      proof.digest = TRY_CONTEXT(name, digest->signature->verify_image(actual));
    } else {
      proof.digest = TRY(VerifiedDigest::compare(
          concat(digest_name(digest->digest.kind()), " of ", name), digest->expected, actual));
    }
    proof.by.push_back(digest->proof);
  }
  return {};
}

}  // namespace curlingiron
