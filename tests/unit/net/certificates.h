// Certificates as a test wants them, made by the openssl program.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace curlingiron::testing {

inline constexpr std::string_view kAuthority =
    "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
    "subjectKeyIdentifier=hash\n";
inline constexpr std::string_view kServer =
    "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:server.example\n"
    "subjectKeyIdentifier=hash\n";
inline constexpr std::string_view kByKeyId = "authorityKeyIdentifier=keyid\n";

struct Recipe {
  std::string name;                               // of the files: NAME.pem, NAME.key
  std::string issuer = "";                        // another's name; empty: itself
  std::string extensions = std::string(kServer);  // of an openssl configuration; empty: version 1
  std::string subject = "";                       // its common name; empty: the name
  std::string key = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";  // of genpkey; or a NAME.key
  std::string from = "20200101000000Z";
  std::string until = "20991231000000Z";
  std::string digest = "sha256";
  std::string serial = "";   // hexadecimal; empty: random
  std::string options = "";  // more for the signature
};

// A folder of certificates that goes away with the tests.
class CertificateFolder {
 public:
  explicit CertificateFolder(std::string path) : path_(std::move(path)) {}

  void make(const Recipe& recipe) const;
  std::string pem(std::string_view name) const;
  std::string pems(const std::vector<std::string>& names) const;
  std::string file(std::string_view name) const;  // its path
  void write(std::string_view name, std::string_view content) const;
  bool run(const std::string& command) const;  // in the folder

 private:
  std::string path_;
};

}  // namespace curlingiron::testing
