#include "init/dialogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace curlingiron {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<Disk> disks() {
  Disk first;
  first.name = "sda";
  first.serial = "one";
  first.size = 1 << 30;
  Disk second;
  second.name = "nvme0n1";
  second.model = "Fast Disk";
  second.serial = "two";
  second.size = 2u << 30;
  return {first, second};
}

Dialogue begun() {
  Dialogue dialogue{Settings()};
  dialogue.set_disks(disks());
  return dialogue;
}

TEST(Dialogue, AsksForImageDigestAndDisk) {
  Dialogue dialogue = begun();
  EXPECT_THAT(dialogue.text(), HasSubstr("The URL of a disk image"));
  dialogue.accept("https://example.org/debian.img.zst\n");
  EXPECT_THAT(dialogue.text(), HasSubstr("SHA-256"));
  dialogue.accept("");
  EXPECT_THAT(dialogue.text(), HasSubstr("  2  nvme0n1: Fast Disk, serial two, 2.0 GiB"));
  dialogue.accept("2");
  EXPECT_THAT(dialogue.text(), HasSubstr("Type nvme0n1 to go on: "));
  EXPECT_EQ(dialogue.state(), Dialogue::State::Asking);
  dialogue.accept("nvme0n1");
  ASSERT_EQ(dialogue.state(), Dialogue::State::Done);
  EXPECT_THAT(dialogue.settings().sources, ElementsAre("https://example.org/debian.img.zst"));
  EXPECT_EQ(dialogue.settings().destination, "serial:two");
  EXPECT_FALSE(dialogue.settings().sha256);
}

TEST(Dialogue, AsksForNoDigestWhereSomethingProvesTheImage) {
  for (const char* proof : {"sha256", "image-sha256"}) {
    Settings settings;
    ASSERT_TRUE(apply_setting(proof, std::string(64, 'a'), settings).ok());
    Dialogue dialogue{settings};
    dialogue.set_disks(disks());
    dialogue.accept("http://example.org/x");
    EXPECT_THAT(dialogue.text(), HasSubstr("Which one is to be overwritten?")) << proof;
  }
}

TEST(Dialogue, SaysWhatIsWrongAndAsksAgain) {
  Dialogue dialogue = begun();
  for (const char* wrong : {"debian.img", "ftp://example.org/x", "https://"}) {
    dialogue.accept(wrong);
    EXPECT_THAT(dialogue.text(), HasSubstr("Image: ")) << wrong;
    EXPECT_THAT(dialogue.text(), Not(testing::StartsWith("What is"))) << wrong;
  }
  dialogue.accept("http://example.org/x");
  dialogue.accept("abc");
  EXPECT_THAT(dialogue.text(), HasSubstr("64 hexadecimal digits, this has\n3"));
  dialogue.accept(std::string(64, 'a'));
  for (const char* wrong : {"0", "3", "sdz", "serial:three"}) {
    dialogue.accept(wrong);
    EXPECT_THAT(dialogue.text(), HasSubstr("Disk: ")) << wrong;
    EXPECT_THAT(dialogue.text(), Not(testing::StartsWith("The disks"))) << wrong;
  }
  dialogue.accept("sda");
  dialogue.accept("yes");
  EXPECT_THAT(dialogue.text(), HasSubstr("Not confirmed; nothing was written."));
  EXPECT_EQ(dialogue.state(), Dialogue::State::Asking);
  EXPECT_EQ(dialogue.settings().destination, "");
}

TEST(Dialogue, AsksOnlyForWhatIsOpen) {
  Settings settings;
  settings.sources = {"https://example.org/x"};
  Dialogue dialogue(settings);
  dialogue.set_disks({});
  EXPECT_THAT(dialogue.text(), HasSubstr("There is no disk yet"));
  dialogue.set_disks(disks());
  dialogue.accept("1");
  dialogue.accept("/dev/sda");
  EXPECT_EQ(dialogue.state(), Dialogue::State::Done);
  settings.destination = "only";
  EXPECT_EQ(Dialogue(settings).state(), Dialogue::State::Done);
  settings.sources.clear();
  Dialogue image(settings);
  image.accept("https://example.org/x");
  image.accept("");
  EXPECT_EQ(image.state(), Dialogue::State::Done);
}

TEST(Dialogue, SaysWhatProvesTheImage) {
  Dialogue plain = begun();
  plain.accept("http://example.org/x");
  EXPECT_THAT(plain.text(), HasSubstr("nothing proves\nwhat comes over plain http"));
  Dialogue https = begun();
  https.accept("https://example.org/x");
  EXPECT_THAT(https.text(), Not(HasSubstr("nothing proves")));
  Settings settings;
  settings.public_key = "key";
  Dialogue is_signed(settings);
  is_signed.set_disks(disks());
  is_signed.accept("http://example.org/x");
  EXPECT_THAT(is_signed.text(), HasSubstr("Disk: "));
}

TEST(Dialogue, EndsWhenAskedTo) {
  for (std::optional<std::string_view> end :
       {std::optional<std::string_view>("quit"), std::optional<std::string_view>()}) {
    Dialogue dialogue = begun();
    dialogue.accept(end);
    EXPECT_EQ(dialogue.state(), Dialogue::State::GivenUp);
  }
}

TEST(Dialogue, FitsAScreenOf80By24) {
  Dialogue dialogue = begun();
  std::vector<std::string> answers = {"x", "https://example.org/x", "x", "", "x", "1"};
  for (const std::string& answer : answers) {
    std::string text = dialogue.text();
    for (std::string_view line : split(text, '\n')) EXPECT_LE(line.size(), 80) << line;
    dialogue.accept(answer);
  }
}

}  // namespace
}  // namespace curlingiron
