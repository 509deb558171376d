#include "unit/net/certificates.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/text.h"
#include "sys/file.h"

namespace curlingiron::testing {

bool CertificateFolder::run(const std::string& command) const {
  return std::system(concat("cd '", path_, "' && (", command, ") > log 2>&1").c_str()) == 0;
}

std::string CertificateFolder::file(std::string_view name) const {
  return concat(path_, '/', name);
}

void CertificateFolder::write(std::string_view name, std::string_view content) const {
  ASSERT_TRUE(write_file_atomically(file(name), as_bytes(content)).ok());
}

// `openssl ca`, as only it sets both dates.
void CertificateFolder::make(const Recipe& recipe) const {
  const std::string& n = recipe.name;
  std::string config =
      concat("[ca]\ndefault_ca=d\n[d]\ndatabase=", n, ".txt\nserial=", n, ".srl\nnew_certs_dir=.\n",
             "default_md=", recipe.digest, "\npolicy=p\nunique_subject=no\nemail_in_dn=no\n",
             "[p]\ncommonName=supplied\n[x]\n", recipe.extensions);
  write(concat(n, ".cnf"), config);
  std::string key = recipe.key.ends_with(".key")
                        ? concat("cp ", recipe.key, ' ', n, ".key")
                        : concat("openssl genpkey ", recipe.key, " -out ", n, ".key");
  std::string subject = recipe.subject.empty() ? n : recipe.subject;
  std::string signer = recipe.issuer.empty() ? concat("-selfsign -keyfile ", n, ".key")
                                             : concat("-cert ", recipe.issuer, ".pem -keyfile ",
                                                      recipe.issuer, ".key");
  std::string command =
      concat(key, " && : > ", n, ".txt && ",
             recipe.serial.empty() ? "openssl rand -hex 8" : concat("echo ", recipe.serial), " > ",
             n, ".srl && openssl req -new -key ", n, ".key -subj '/CN=", subject, "' -out ", n,
             ".csr && openssl ca -batch -notext -config ", n, ".cnf ",
             recipe.extensions.empty() ? "" : "-extensions x ", signer, " -startdate ", recipe.from,
             " -enddate ", recipe.until, ' ', recipe.options, " -in ", n, ".csr -out ", n, ".pem");
  UniqueFd root = open_root(path_).value();
  ASSERT_TRUE(run(command)) << command << '\n' << read_text(root, "log").value();
}

std::string CertificateFolder::pem(std::string_view name) const {
  UniqueFd root = open_root(path_).value();
  Result<std::string> text = read_text(root, concat(name, ".pem"));
  EXPECT_TRUE(text.ok()) << name;
  return text.ok() ? text.value() : "";
}

std::string CertificateFolder::pems(const std::vector<std::string>& names) const {
  std::string all;
  for (const std::string& name : names) all += pem(name);
  return all;
}

}  // namespace curlingiron::testing
