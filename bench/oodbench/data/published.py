"""Matrices that are published: whatever a number was cited from stays what it was; a change is a new version."""

import hashlib
import json
import tomllib
from pathlib import Path

from oodbench.data.fixed import cards_folder

PUBLISHED = {
    "cifar10-resnet-v1": "214658007bb91ef2c87ff90ede2bc5d156905c11699333dccf83efbd5e73c81a",
    "cifar10-resnet-v2": "7df3fd2a19974d648c919e11ec1c24d9fab463b5590776043bdb7be5a7f04bb6",
    "cifar10-v1": "ce390881bd492f0684e89f5d9ef7984cbe2b7ba799d1e1df62d955687a6b5fc3",
    "cifar100-v1": "3b0536a0e6282945a8e14d7fa243a2716eaf0200a5d064ca5c1e47f4fa792414",
    "fashion-mnist-inn-v1": "8a8574c627dbfc3eb5a9e27e6e9aade55ddf0876b7ceff1d395c00965700ea03",
    "fashion-mnist-v1": "bd90910219964f548600c2cf17a4f1ac1812de0e4abfa2a089aa65b7287b4f7f",
    "fashion-mnist-v2": "4339a1170fb4490741dd9aa942844100bb302a40b795d3d0e7bb50338bcfebbc",
    "fashion-mnist-v3": "50842eb4b2818a57a641b0de7ebf077c24907420c88eaec59481326f58235e93",
    "imagenet-v1": "223b78ee91b048c303caadf6eec5ada7a4229a9a1aa3a68bdf4bb6ae2626f006",
    "mnist-oe-full-v1": "b3912103b7d7f3d100dca9e9e0989e828765b30c6aa488d9c680259b3ceb023d",
    "mnist-oe-v1": "3666e245a2c0073c0f9d445743e3425c179c02487c33304de8311cfeaebc0732",
    "mnist-v1": "6882bf004e640ffb457d32c3e32539bfde771dc9cb21a2c296fa385ff827a19e",
    "mnist5k-v1": "d99a24f51e45584b93b9f292ae2ad5f5ebe9f11b95ad95cf3401fd6adc1dd39b",
    "mnist5k-v2": "ff1998a7bd79d0fe206e8b51a6e6d2e474283f0de6cd21ead463c633aaf85797",
    "newsgroups-v1": "8d5601f26c09c99c7d8532812d3b6363c9a6f9072e59c35fb729f28f01b6e569",
    "sst-binary-v1": "29233ab6a802d2404796bf4af5043634685ae66b851293fb2d706ab6c21cdf4a",
    "sst-fine-v1": "8d29feb5536e037e30f96b93d83357023ff5a24fb1d927928d25bcaffdf55385",
    "svhn-v1": "8b9664662eefcf2ce3c9a431b0889944b57a4d5b6e8d43667fee5843a009ae46",
    "tiny-v1": "79be3173b44d88e5de61cb43405b74b932f0eaf7160ef81e7a9a653a6dcf2347",
    "toy-words-v1": "1e17b2e2eff369021315faf211fd87edb40d7d80f87fb15408a9d5db750f367f",
    "trec-v1": "2b4d442aaf08f94a89ffd02d5930cf9d315c571697024ef461de11da341af0ea",
    "trec-v2": "47d792c8e3cdc026d6bb60851b96259f69a7327f6f73e7285743ea709d285cae",
    "trec-oe-v1": "a654f978bcbdb3f0698c496e9f946c7d6d8d8b51b8750a42d57172188d9690ac",
    "cifar10-v2": "15f0c07971e03fb7a1d9916aa1e79b6eeeef8f2c868d36d7be1bc7561b06f4ba",
    "cifar100-v2": "7081f0e9f10d3d078c363db14ee228211918d050789a514827cf040b0a3184dd",
    "lee2018-cifar10-dense-lsun-resize-v1": "0dc09877ed3a4f05bb3850771fc8decc43c52afe96b27c35ea1b599cca9bbfe7",
    "lee2018-cifar10-dense-svhn-tiny-v1": "4e98758c7ec353ecf3f18f712a9cdc7e1e9612a9f64eb5a7f76881bbf376d3c6",
    "lee2018-cifar10-dense-svhn-v1": "6b8cf688ddd156b62fa97d8678bf95eb5a7a9dd43a64249d60fe021c8ecab16b",
    "lee2018-cifar10-dense-tiny-imagenet-resize-v1": "a4f6982e5de3008eafb31192b8f0a76509b060812695b944244980a3b8da5540",
    "lee2018-cifar10-resnet-lsun-resize-v1": "410ba2296628b7a5596e2878239624b4421dc54664646348841ea361a791fb61",
    "lee2018-cifar10-resnet-svhn-tiny-v1": "ae36c3e340a24c1a67fed74da7559fc962a25377c06602c6ddde2fc1065626f3",
    "lee2018-cifar10-resnet-svhn-v1": "4ac3ddb4c8dfda8011d91856be0328e72e6ba84cff934faeeb586b255f918688",
    "lee2018-cifar10-resnet-tiny-imagenet-resize-v1": "75f0d75bf808bdae3d0833dd785197aa790d70b06ea269ab385f694944c06c77",  # noqa: E501
    "lee2018-cifar100-dense-lsun-resize-v1": "c4b63064f521abf3faeee1e5c3a88e8be3fc9acb640e9992148a26df5779a613",
    "lee2018-cifar100-dense-svhn-v1": "ac70887bae38672b3ddca15ff3a7bc37a9d448c3dcd7affe3aa0c2107989aec1",
    "lee2018-cifar100-dense-tiny-imagenet-resize-v1": "6094eb160322d04eb0b1596506fc5636af2a5c07b526a9cef95296304a220252",  # noqa: E501
    "lee2018-cifar100-resnet-lsun-resize-v1": "f2162b24e11a6c4b9f900cf780eba3ffdef822f03f447772617926645681e663",
    "lee2018-cifar100-resnet-svhn-v1": "4cdfe8906c0ef299c6592e3c1f70e007cc66c9a277ad00447a5b4cadc8246212",
    "lee2018-cifar100-resnet-tiny-imagenet-resize-v1": "3ac18c3f23399120b3594a1b968e87e7821be4485c77c1ad92d26c439207e1ea",  # noqa: E501
    "lee2018-svhn-dense-cifar-10-v1": "c24f095bb3a9d9d387ee7cf0e2365d389844f909f836691efe492ef163985179",
    "lee2018-svhn-dense-lsun-resize-v1": "72cd91af6080302a491d899a59b1f79e41ab8ea89e96d9ee3329763af6f81293",
    "lee2018-svhn-dense-tiny-imagenet-resize-v1": "0ce6f67d44518bddf4b455e7f2f755926d45176f35baa7a08b951522b6b8e547",
    "lee2018-svhn-resnet-cifar-10-v1": "e232ff2446dc08e8dfe3e5564e19a6acecd6c63edbff9b936f7caf8b606c5b2f",
    "lee2018-svhn-resnet-lsun-resize-v1": "b8a47d397e10a25f9c279e2f3cfc97464348d6a614ae21c11dceb315e471b1bb",
    "lee2018-svhn-resnet-tiny-imagenet-resize-v1": "de830412e41c9a6594956a66a21dd2439bf7f9ebb3adbc0b31b2168fc773c0b4",
    "openood-cifar10-v1": "639804186a18f05333fdb3729390421d02a1207f4917696c3dc80521acb912d4",
    "openood-cifar100-v1": "dd6d3f337cd6e27bef5c4d1f086847285c245cd98730103073591ce43c77388c",
    "openood-imagenet1k-v1": "5ee5e127b8bc01be2603e711e2a721dcc8195223cd252155ce70014492a29c87",
    "openood-imagenet200-v1": "71e1e7abde4ee42833ddc400f2d59a1a8752c0bbd6ab19845c6f13288f9704bf",
    "shao2020-cifar10-dense-tiny-v1": "681c8ea4036226359a9ff6b4c89fbcaea3ea3089d25ea01d21c7653e76a7f83f",
    "shao2020-cifar10-dense-v1": "babe58362d0c1ebc968104dc8d5e1dc17d7d1153740317afe01a1221a1e3d703",
    "shao2020-cifar100-dense-tiny-v1": "ae79fe2c69ac2b4f65801a85f6a50fc8a3a6fdb5bde512f8b5fb7d0f60f5fc69",
    "shao2020-cifar100-dense-v1": "d636fb7649bde2788c9d84a237a243b570a9d729ca5b8f67a1aeb988280a4724",
    "shao2020-cifar100-wrn-tiny-v1": "b545f17d58a1d1d7c432dfce9ef6ed49c8d0d6bab25d6dbaba8b874ef88cd742",
    "shao2020-cifar100-wrn-v1": "a15631fc7e0ce3d2db6376ccc832b713d9ad68900d96eef14251e484c1a0ac11",
    "sreeramdass-gaussian-odin-tiny-v1": "570931d574de008cfe4089d018e321db5e503b4a48465412615755748cc03ada",
    "sreeramdass-gaussian-odin-v1": "7901700f70f35bd2ef133b3d308fedc550411ef335203f8f518b04b9c0a7c86c",
    "sreeramdass-tiny-imagenet-crop-tiny-v1": "a1b2547f8c33c4338eab8d6eeb08b16ed84235a15c558428c8b2e01b847f44eb",
    "sreeramdass-tiny-imagenet-crop-v1": "325a556a240ed8d4fd5bb121148cd69863d207602ae558a1d8d62df8a14bf767",
    "sreeramdass-tiny-imagenet-resize-tiny-v1": "73247e3ae69e26b266136e97f8dfcf3703148cf0e5f3fedc9b992f57fcb10b8c",
    "sreeramdass-tiny-imagenet-resize-v1": "b8df0e078adda023e7adc4e4ff95a0d4b18da65788deb0a3729fb9bef735cf78",
    "toy-v1": "8f1c198e15e340b76eb770ecf0c0fe24fc417055220664951fbfaca60c60c590",
}
"""sha256 of what each file says, but for the methods that run by default."""


def matrix_path(name: str) -> Path:
    """Return the file of a matrix."""
    return cards_folder() / "matrices" / f"{name}.toml"


def matrix_sha256(name: str) -> str:
    """Return the sha256 of what the file of a matrix says, but for the methods that run by default."""
    content = tomllib.loads(matrix_path(name).read_text(encoding="utf-8"))
    said = json.dumps({key: value for key, value in content.items() if key != "methods"}, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()
