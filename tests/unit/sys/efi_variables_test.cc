// A folder in the place of efivarfs: its files are as that has them.
#include "sys/efi_variables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "support/workshop.h"

namespace curlingiron {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kGlobal = "-8be4df61-93ca-11d2-aa0d-00e098032b8c";

class EfiVariablesTest : public testing::Test {
 protected:
  std::string file(std::string_view name) { return concat(name, kGlobal); }

  Workshop workshop_;
  UniqueFd root_ = open_root(workshop_.at("").string()).value();
  std::unique_ptr<EfiVariables> variables_ = open_efi_variables(root_, ".").value();
};

TEST_F(EfiVariablesTest, AreFilesWithAttributes) {
  ASSERT_TRUE(variables_->write("BootOrder", ByteVector{3, 0, 1, 0}).ok());
  EXPECT_EQ(workshop_.read(file("BootOrder")), (ByteVector{7, 0, 0, 0, 3, 0, 1, 0}));
  EXPECT_EQ(variables_->read("BootOrder").value(), (ByteVector{3, 0, 1, 0}));
  ASSERT_TRUE(variables_->write("BootOrder", ByteVector{1, 0, 3, 0}).ok());
  EXPECT_EQ(variables_->read("BootOrder").value(), (ByteVector{1, 0, 3, 0}));
  ASSERT_TRUE(variables_->remove("BootOrder").ok());
  EXPECT_EQ(variables_->read("BootOrder").error().code(), ENOENT);
  EXPECT_TRUE(variables_->remove("BootOrder").ok());
}

TEST_F(EfiVariablesTest, OfOtherNamespacesAreNotTheirs) {
  workshop_.write(file("Boot0001"), "1234x");
  workshop_.write(file("BootOrder"), "1234xx");
  workshop_.write("Boot0002-c0001d00-0000-4000-8000-00c0ffee0000", "1234x");
  EXPECT_THAT(variables_->names().value(), ElementsAre("Boot0001", "BootOrder"));
}

TEST_F(EfiVariablesTest, ThatTheKernelProtectsAreChangedAllTheSame) {
  workshop_.write(file("Boot0001"), "1234x");
  if (workshop_.run(concat("chattr +i ", file("Boot0001"))) != 0) {
    GTEST_SKIP() << "no immutable files here: " << workshop_.log();
  }
  EXPECT_TRUE(variables_->write("Boot0001", ByteVector{5}).ok());
  ASSERT_EQ(workshop_.run(concat("chattr +i ", file("Boot0001"))), 0);
  EXPECT_TRUE(variables_->remove("Boot0001").ok());
  EXPECT_THAT(variables_->names().value(), ElementsAre());
}

TEST_F(EfiVariablesTest, WhatIsNotTakenLeavesNoName) {
  // No file has more bytes than that here.
  std::string name(300, 'x');
  EXPECT_THAT(variables_->write(name, ByteVector{1}).error().message(), HasSubstr(name));
  EXPECT_THAT(variables_->names().value(), ElementsAre());
  workshop_.write(file("Boot0001"), "12");
  EXPECT_EQ(variables_->read("Boot0001").error().code(), ENOENT);
}

TEST_F(EfiVariablesTest, AreNotWhereNothingIsMounted) {
  EXPECT_THAT(open_efi_variables(root_, "sys/firmware/efi/efivars").error().message(),
              HasSubstr("sys/firmware/efi/efivars: "));
}

}  // namespace
}  // namespace curlingiron
