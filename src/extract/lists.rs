//! The word lists of the summarizer: closed classes of English, nothing learned and nothing about a subject.
//! What the lists are used for is said where they are used.

/// Function words and chat fillers: they carry no subject.
pub const STOP: &str = "a about above after again all almost along already also although always am an and another any anybody anyone anything \
anyway are aren't around as at away back be because been before being below best better between both but by came can can't cannot come \
comes coming could couldn't did didn't do does doesn't doing don't done down during each either else ever every everybody everyone everything \
far few for from further get gets getting give go goes going gone gonna good got gotta had hadn't has hasn't have haven't having he he'd he'll \
he's hello hence her here here's hers herself hey hi him himself his how how's however i i'd i'll i'm i've if in indeed instead into is isn't it it'd it'll it's \
its itself just keep kind know knows last least less let let's like likely little lot lots made make makes many may maybe me mean means might mine more \
most much must my myself near need needs neither never no nobody none nope nor not nothing now of off often oh ok okay on once one \
ones only onto or other others otherwise our ours ourselves out over own perhaps please possible pretty probably put quite rather really right \
said same saw say saying says see seem seems seen shall she she'd she'll she's should shouldn't since so some somebody someone something \
somewhat somewhere soon still stuff such sure take than thank thanks that that'd that'll that's the their theirs them themselves then there \
there's these they they'd they'll they're they've thing things think this those though thought through thus to today together too toward \
towards true try two under unless until up upon us use used uses using very via wanna want wants was wasn't way we we'd we'll we're we've well went were \
weren't what what's whatever when where where's whether which while who who's whole whom whose why will with within without won't would \
wouldn't yeah yep yes yet you you'd you'll you're you've your yours yourself yourselves lol haha hmm um uh uhm mm mhm ah oops btw imo afaik etc \
cool nice great fine awesome yup nah ya hm er eh wow guys folks actually basically literally honestly definitely guess exactly absolutely totally mostly per regarding via ago guys etc";

/// Words that only English has among the languages that people mix up with it: the vote for "this is English".
pub const ENGLISH: &str = "the and is are was were to of it that this with for you have has not we be i'll what can they my but just from would should \
there let's i'm don't it's yes who how when why our your he she his her will if or which at by about do does did been could i i've \
we'll we're that's can't didn't isn't need want think on in a so ok all any some more out up now then thanks please sure sounds good go \
going know make get use yeah as an me us them new need must after before until";

/// Function words of other languages written in Latin letters: the vote against.
pub const FOREIGN: &str = "que el la los las una un por para con pero como muy está esto eso si ya lo le les se su sus del al y es mi te hay \
je nous vous il elle est pas ne et mais pour avec dans sur du des au aux ce cette qui être c'est on une oui non merci \
ich nicht und der die das ist ein eine mit auf für wir ihr sie auch noch aber wenn dass von zu den dem haben werden kann ja nein \
che di non per sono una questo anche della nel gli perché più il \
não uma os com isso mas você eu ele ela foi tem também em na da dos sim \
het een niet van dat voor met ook maar heb wij zijn nog naar ik je \
och att det som inte jag på är en ett med vi för har men \
ve bir bu için da ne mi evet hayır ben biz jest nie się to na tak czy ale jak w z";

/// Verbs in their base form: they take an "s" after a name, and open a request or an order.
pub const BASE_VERB: &str = "accept add address adopt agree aim allow announce answer apply approve arrange ask assign assume attend avoid back believe \
block book bring build buy call cancel care change chase check choose circle clean clear close collect come commit compare complete confirm \
connect consider contact continue convert coordinate copy cover create cut deal debug decide define delay delete deliver demo deploy describe design disable \
discuss document do double draft draw drive drop edit email enable ensure escalate estimate evaluate explain export extend feel figure \
file fill find finish fix follow forget forward freeze gather generate get give go grab grant guess handle hand hate have hear help hire hold hope host \
implement import improve include increase inform install invite investigate invoice join keep kick know lead learn leave let like limit list listen live look lose \
love lower make manage map mark mean measure meet merge mention message migrate miss monitor move need negotiate notify note offer open order organise organize \
own pack pay phone pick ping plan play point post postpone prefer prepare present prep print propose publish pull push put raise reach read recommend record \
reduce refactor refund register reject release remember remind remove rename renew rent repeat replace reply report reproduce request require reschedule research reserve resolve \
respond restart restore retry return reuse revert review revise rewrite ring roll rotate run save say schedule see seem select sell send serve set share ship show sign \
skip sort speak spend split start stay stick stop study submit suggest summarise summarize support suppose sync switch table tag take talk target tell test thank \
think tidy track transfer translate treat trim try turn understand update upgrade upload use validate verify visit vote wait walk want warn watch \
wish wonder work worry wrap write ditch scrap scope restrict simplify standardise standardize swap archive audit automate backport benchmark bump cap \
charge configure cook decorate default design distribute dig expand expose fetch finalise finalize fly follow host hotfix instrument lock mute onboard outsource park patch photograph \
proofread provision purchase query queue rebase rebuild recruit redo relocate remake restock retire retest rework sand scan ship shop source staff steer survey \
label unmute pin unpin enforce rent bake borrow lend throw transcribe translate triage troubleshoot type unblock undo unlock wash wire";

/// Verbs that promise or ask for nothing that one could tick off.
pub const IDLE_VERB: &str = "be have see say think go come get know feel believe hear love like guess hope want need wish mean remember forget bet admit agree \
assume suppose wait stay stick leave die try miss understand live laugh cry sleep eat pass stop keep repeat shut imagine wonder watch enjoy \
be able explain pretend prefer never let listen speak hate regret survive probably elaborate";

/// Time and dates; what makes a promise due.
pub const TIME: &str = "monday tuesday wednesday thursday friday saturday sunday mon tue wed thu thurs fri sat today tomorrow tonight yesterday \
january february march april june july august september october november december jan feb apr jun jul aug sep sept oct nov dec \
morning afternoon evening noon midnight week weeks weekend month months year day days hour hours minute minutes eod eow quarter q1 q2 q3 q4 sprint deadline \
o'clock am pm asap monday's friday's tomorrow's week's";

/// Openings that only greet, hesitate or nod; stripped before a sentence is told.
pub const FILLER: &str = "oh ok okay k well so yeah yes yep yup no nope nah hmm hm um uh uhm mm mhm ah er eh haha hahaha lol hey hi hello and but right sure alright great \
thanks actually btw fwiw anyway anyways please cool nice perfect awesome good also amazing excellent wow oops ugh true fine fair exactly indeed honestly basically \
then again anyhow sorry hooray yay ooh omg";

/// Nods: the next speaker agrees, accepts or thanks.
pub const ACK: &str = "yes yeah yep yup ok okay k sure agreed agree great good fine perfect cool nice done deal absolutely definitely exactly fair thanks thank \
approved ack lgtm understood noted amazing awesome excellent works +1 roger indeed totally seconded correct true same right love yay +0.5 brilliant lovely alright";

/// Refusals and doubts.
pub const NAY: &str = "no nope nah -1 wait disagree object objection veto never -0.5 hold hang stop";

/// Orders of these words come without a subject: "Send me the file".
pub const PAST_IRREGULAR: &str = "was were had did went got made said told took came saw found gave sent left kept built bought brought lost met ran put set \
spoke wrote broke chose fell felt held paid read sold spent thought won began became knew";

/// Names that are common words as well: a mention only with a capital or an @.
pub const WORD_NAME: &str = "will may mark grace art rob drew bill jack sue pat hope rose dawn april june august summer chase grant dean faith joy iris \
ray rich frank ernest earnest christian max skip ace autumn penny olive ivy ruby violet daisy lily sunny miles page robin wade ward \
carol eve guy proposal topic action resolved decision todo task question answer note system bot group team all everyone gene herb jay kit lane lance mason nick pierce reed rusty sage sandy stone sterling tex ty victor carter cook chip";

/// Given names that are no other words: told as people also where they are written small.
pub const GIVEN: &str = "bob alice anna anne ann ben eve tom tim jim john jane mary peter paul david daniel michael mike thomas james robert sarah sara \
laura julia lisa lena maria marie marta martha emma sophie sofia lucas lukas luis jose carlos juan pedro ana ines pablo diego elena olga ivan igor \
dmitri sergey natasha anton boris yuki hiro kenji mei wei jing li ming raj priya ravi anita sunil amit deepa fatima omar ahmed ali hassan yusuf layla \
karl klaus hans jürgen stefan markus sven lars nils erik ingrid astrid greta pierre jean claire julien camille marco luca giulia paolo francesca joão \
kevin brian steve steven susan karen linda patricia jennifer jessica emily hannah olivia noah liam ethan oliver george henry charlie charles edward william \
andrew andy matt matthew chris joe joseph josh sam samuel simon adam alex alexandra nina nora ella zoe chloe lucy molly katie kate kathy helen ruth rachel \
rebecca becca jonas jakob jacob leon felix oscar hugo fred frida magda zofia piotr ewa agnieszka milan petra jana eva tomas dora ida otto theo max leo mia";

/// A reversal: what follows takes the place of what was decided before.
pub const REVERSAL: &str = "actually instead scrap cancel revert reverse undo wait nevermind reconsider forget";

/// Verbs of telling: what comes after them is somebody's claim.
pub const TELLING: &str = "say says said saying tell tells told claim claims claimed pretend write print output state reply answer respond rumor rumour \
quote quoted quoting joke joked heard if whether unless suppose imagine thought hope hoping wish wishing";

/// Spellings that people hurry: written, meant.
pub const HURRIED: &[(&str, &str)] = &[
    ("lets", "let's"),
    ("im", "i'm"),
    ("ive", "i've"),
    ("dont", "don't"),
    ("cant", "can't"),
    ("wont", "won't"),
    ("thats", "that's"),
    ("didnt", "didn't"),
    ("isnt", "isn't"),
    ("doesnt", "doesn't"),
    ("youre", "you're"),
    ("theyre", "they're"),
    ("u", "you"),
    ("ur", "your"),
    ("pls", "please"),
    ("plz", "please"),
    ("thx", "thanks"),
    ("ty", "thanks"),
    ("tmrw", "tomorrow"),
    ("tmr", "tomorrow"),
    ("okey", "ok"),
    ("kk", "ok"),
    ("okie", "ok"),
    ("yea", "yeah"),
    ("weve", "we've"),
    ("shouldnt", "shouldn't"),
    ("couldnt", "couldn't"),
    ("wouldnt", "wouldn't"),
    ("whats", "what's"),
    ("cuz", "because"),
    ("gonna", "gonna"),
    ("i’ll", "i'll"),
];
